package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// newClient builds the client of a mode, and answers the secrets of the URL,
// which no error may repeat.
func newClient(raw, mode string, timeout time.Duration) (redis.UniversalClient, []string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		// The error of url.Parse quotes the URL, or the part that it stumbled over,
		// which may be the password.
		return nil, nil, errors.New("redis url: not of the form redis://user:password@host:port/db; " +
			"special characters in the password must be percent-encoded")
	}
	secrets := secretsOf(u)
	client, err := clientFor(raw, mode, timeout)
	if err != nil {
		return nil, nil, fmt.Errorf("redis url: %s", maskSecrets(err.Error(), secrets))
	}
	return client, secrets, nil
}

func secretsOf(u *url.URL) []string {
	var secrets []string
	add := func(s string) {
		if s != "" {
			secrets = append(secrets, s, url.QueryEscape(s), url.PathEscape(s))
		}
	}
	password, _ := u.User.Password()
	add(password)
	for _, s := range u.Query()["password"] {
		add(s)
	}
	return secrets
}

func clientFor(raw, mode string, timeout time.Duration) (redis.UniversalClient, error) {
	switch mode {
	case "", "single":
		o, err := singleOptions(raw, timeout)
		if err != nil {
			return nil, err
		}
		return redis.NewClient(o), nil
	case "sentinel":
		o, err := sentinelOptions(raw, timeout)
		if err != nil {
			return nil, err
		}
		return redis.NewFailoverClient(o), nil
	case "cluster":
		o, err := clusterOptions(raw, timeout)
		if err != nil {
			return nil, err
		}
		return redis.NewClusterClient(o), nil
	}
	return nil, fmt.Errorf("mode %q is none of single, sentinel, cluster", mode)
}

// What all modes have in common: no retry, since the caller goes on without
// Redis; the caller's deadline counts; RESP2 and no introduction, which every
// server and proxy understands. Connecting may go on in the background for
// longer than one call waits, so that a handshake over a long way succeeds at
// all.
//
// The pool is as large as there may be webhooks at a time that wait for a disk,
// whatever the number of processors: connections are made when they are needed.
const (
	noRetry  = -1
	oneDial  = 1
	protocol = 2
	poolSize = 64
)

func dialTimeout(timeout time.Duration) time.Duration { return 10 * timeout }

func noNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

func singleOptions(raw string, timeout time.Duration) (*redis.Options, error) {
	o, err := redis.ParseURL(raw)
	if err != nil {
		return nil, err
	}
	o.MaxRetries, o.DialerRetries, o.Protocol = noRetry, oneDial, protocol
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = dialTimeout(timeout), timeout, timeout, timeout
	o.ContextTimeoutEnabled, o.DisableIdentity = true, true
	o.PoolSize = cmp.Or(o.PoolSize, poolSize)
	o.MaintNotificationsConfig = noNotifications()
	return o, nil
}

func sentinelOptions(raw string, timeout time.Duration) (*redis.FailoverOptions, error) {
	o, err := redis.ParseFailoverURL(raw)
	if err != nil {
		return nil, err
	}
	if o.MasterName == "" {
		return nil, errors.New("sentinel mode needs master_name, as in redis://host:26379/0?master_name=mymaster")
	}
	if o.RouteByLatency || o.RouteRandomly || o.ReplicaOnly {
		return nil, errors.New("sentinel mode cannot use replicas: the ledger writes")
	}
	o.MaxRetries, o.DialerRetries, o.Protocol = noRetry, oneDial, protocol
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = dialTimeout(timeout), timeout, timeout, timeout
	o.ContextTimeoutEnabled, o.DisableIdentity = true, true
	o.PoolSize = cmp.Or(o.PoolSize, poolSize)
	return o, nil
}

// clusterOptions leaves MaxRedirects alone: following a moved slot is no retry,
// and a SET NX that is repeated after a lost answer loses, which is safe.
func clusterOptions(raw string, timeout time.Duration) (*redis.ClusterOptions, error) {
	o, err := redis.ParseClusterURL(raw)
	if err != nil {
		return nil, err
	}
	o.MaxRetries, o.DialerRetries, o.Protocol = noRetry, oneDial, protocol
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = dialTimeout(timeout), timeout, timeout, timeout
	o.ContextTimeoutEnabled, o.DisableIdentity = true, true
	o.PoolSize = cmp.Or(o.PoolSize, poolSize)
	o.MaintNotificationsConfig = noNotifications()
	return o, nil
}
