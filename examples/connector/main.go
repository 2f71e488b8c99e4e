// Command crmsync is crmsync with one more connector: a company's own build.
package main

import (
	"example.com/juniper/juniper"

	"crmsync/connectors/all"
	"crmsync/worker"
)

func main() { worker.Main(append(all.Connectors(), juniper.Definition())...) }
