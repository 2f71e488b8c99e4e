package workflows

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The states that an operator can filter by.
const (
	StateSyncing  = "syncing"   // under way, or waiting for a CRM
	StateParked   = "parked"    // waits for a person
	StateDone     = "done"      // nothing left to do
	StateOptedOut = "opted_out" // consent: applied wherever the number is known
	StateOptedIn  = "opted_in"
)

// Attributes are the search attributes of a deployment. They hold no phone
// number and no text: Temporal stores them in the clear.
type Attributes struct {
	State, Account, Kind, Contact temporal.SearchAttributeKeyKeyword
	// Deliveries lists of each delivery its [StateValue], where it is parked its
	// [RefusalValue], and where it has a record in the CRM its [RecordValue]. A
	// text has it from the start, a status once it is parked or done.
	Deliveries temporal.SearchAttributeKeyKeywordList
}

// maxKeyword is the length of the longest value that databases index, in bytes:
// https://docs.temporal.io/search-attribute#limits.
const maxKeyword = 255

// StateValue says how a delivery stands: syncing, parked, or how it ended.
func StateValue(connector, state string) string { return connector + "=" + state }

// RefusalValue says why a delivery is parked, by the kind of error.
func RefusalValue(connector, kind string) string { return connector + "!" + kind }

// Awkward are the characters that Temporal's list cannot be asked for: on SQL
// databases it writes \" for ", \\ for \, and trims ' (seen with server 1.32).
const Awkward = `"\'`

// RecordValue says which record of the CRM a delivery wrote. An id that is too
// long, or that could not be asked for, is told by its SHA-256 instead, which can
// be looked for just as well.
func RecordValue(connector, id string) string {
	value := connector + "#" + id
	if len(value) <= maxKeyword && !strings.ContainsAny(id, Awkward) {
		return value
	}
	sum := sha256.Sum256([]byte(id))
	return connector + "#sha256:" + hex.EncodeToString(sum[:])
}

// AttributesOf answers the attributes of the deployment called name. Their
// names begin with the deployment's.
func AttributesOf(name string) Attributes {
	prefix := strings.ReplaceAll(name, "-", "_") + "_"
	return Attributes{
		State:      temporal.NewSearchAttributeKeyKeyword(prefix + "state"),
		Account:    temporal.NewSearchAttributeKeyKeyword(prefix + "account"),
		Kind:       temporal.NewSearchAttributeKeyKeyword(prefix + "kind"),
		Contact:    temporal.NewSearchAttributeKeyKeyword(prefix + "contact"), // the keyed hash of the number
		Deliveries: temporal.NewSearchAttributeKeyKeywordList(prefix + "deliveries"),
	}
}

// Types is what has to be registered with the server.
func (a Attributes) Types() map[string]enums.IndexedValueType {
	return map[string]enums.IndexedValueType{
		a.State.GetName():      enums.INDEXED_VALUE_TYPE_KEYWORD,
		a.Account.GetName():    enums.INDEXED_VALUE_TYPE_KEYWORD,
		a.Kind.GetName():       enums.INDEXED_VALUE_TYPE_KEYWORD,
		a.Contact.GetName():    enums.INDEXED_VALUE_TYPE_KEYWORD,
		a.Deliveries.GetName(): enums.INDEXED_VALUE_TYPE_KEYWORD_LIST,
	}
}

// Start is what a workflow starts with. Targets are its deliveries, where they
// are known.
func (a Attributes) Start(account, kind, contactHash string, targets []string) temporal.SearchAttributes {
	updates := []temporal.SearchAttributeUpdate{a.Account.ValueSet(account), a.Kind.ValueSet(kind), a.State.ValueSet(StateSyncing)}
	if contactHash != "" {
		updates = append(updates, a.Contact.ValueSet(contactHash))
	}
	if len(targets) > 0 {
		states := make([]string, len(targets))
		for i, connector := range targets {
			states[i] = StateValue(connector, StateSyncing)
		}
		updates = append(updates, a.Deliveries.ValueSet(states))
	}
	return temporal.NewSearchAttributes(updates...)
}

// Syncing reports whether a workflow's attributes say that its delivery to a
// connector is under way.
func (a Attributes) Syncing(found *commonpb.SearchAttributes, connector string) bool {
	var deliveries []string
	payload := found.GetIndexedFields()[a.Deliveries.GetName()]
	err := converter.GetDefaultDataConverter().FromPayload(payload, &deliveries)
	return err == nil && slices.Contains(deliveries, StateValue(connector, StateSyncing))
}

// show makes the state visible in the server's list, also while no worker runs.
// A workflow that was started without attributes (plain) leaves it: an unknown
// attribute would block it.
func show(ctx workflow.Context, plain bool, state string, deliveries []string) {
	if plain {
		return
	}
	a := AttributesOf(deployment(ctx))
	updates := []temporal.SearchAttributeUpdate{a.State.ValueSet(state)}
	if deliveries != nil {
		updates = append(updates, a.Deliveries.ValueSet(deliveries))
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, updates...); err != nil {
		workflow.GetLogger(ctx).Error("search attributes not set", "error", err)
	}
}
