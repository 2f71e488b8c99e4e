package odoo

import (
	"time"

	"crmsync/connectors"
)

// Define implements connectors.Definer. Odoo itself has no limit; hosts do.
func (c *Connector) Define(d connectors.Definition) connectors.Definition {
	if c.cfg.RequestsPerMinute > 0 {
		d.Limits = []connectors.Limit{{Name: "requests", Amount: c.cfg.RequestsPerMinute, Window: time.Minute}}
	}
	return d
}
