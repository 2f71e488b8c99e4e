package activities

import "crmsync/connectors"

// SyncResult is the result of a SyncEvent workflow: how each delivery ended, by
// connector.
type SyncResult struct {
	Deliveries map[string]DeliveryResult `json:"deliveries"`
}

// DeliveryResult is how one delivery ended.
type DeliveryResult struct {
	State   connectors.State `json:"state"`
	Record  connectors.Ref   `json:"record,omitzero"`
	Contact connectors.Ref   `json:"contact,omitzero"`
	// How says why this contact was chosen.
	How string `json:"how,omitempty"`
	// Reason is what the person gave who decided last about it: to retry, skip,
	// link or resync. By is who that was.
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
}
