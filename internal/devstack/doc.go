// Package devstack finds or starts the two servers that crmsync leans on,
// Temporal and Redis, for trying it (crmsync dev) and for tests. Package
// devtest has the helpers for tests.
//
// Temporal comes from the first of these that works:
//
//  1. the binary that CRMSYNC_DEVSERVER names, built from devserver/;
//  2. temporal, Temporal's command line, on PATH;
//  3. devserver/, when the working directory is inside a checkout of crmsync:
//     it is built once into the user's cache folder, which takes minutes, and
//     parallel processes wait for one build;
//  4. Temporal's command line, downloaded once into the user's cache folder.
//
// Redis is redis-server from PATH, else a Redis in this process, written in
// Go, that keeps nothing. With CRMSYNC_TEST_REQUIRE=redis (a list, separated
// by commas) doing without redis-server is an error.
//
// Everything listens on loopback. A server that was started here ends with
// this process, however it dies: the devserver reads a pipe until its end, the
// others are killed by the kernel (on Linux). Servers are in a process group
// of their own, so that Ctrl-C in a terminal reaches crmsync alone, which
// drains before it stops them.
package devstack
