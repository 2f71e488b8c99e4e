// Command crmsync puts every JustCall text on the right contact's timeline in
// the company's CRMs, once. A company's own build adds its connectors here.
package main

import (
	"crmsync/connectors/all"
	"crmsync/worker"
)

func main() { worker.Main(all.Connectors()...) }
