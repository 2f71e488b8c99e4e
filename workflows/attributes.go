package workflows

import (
	"strings"

	enums "go.temporal.io/api/enums/v1"
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
	Deliveries                    temporal.SearchAttributeKeyKeywordList
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

// Start is what a workflow starts with.
func (a Attributes) Start(account, kind, state, contactHash string) temporal.SearchAttributes {
	updates := []temporal.SearchAttributeUpdate{a.Account.ValueSet(account), a.Kind.ValueSet(kind), a.State.ValueSet(state)}
	if contactHash != "" {
		updates = append(updates, a.Contact.ValueSet(contactHash))
	}
	return temporal.NewSearchAttributes(updates...)
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
