package ingress

import "crmsync/sms"

// Targets answers the connectors that a text goes to, by the routes and `since`.
func (d *Door) Targets(text sms.Event) []string { return d.targets(text) }
