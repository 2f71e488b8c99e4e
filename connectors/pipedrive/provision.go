package pipedrive

import (
	"context"
	"fmt"
	"slices"

	"crmsync/connectors"
)

// Provision implements connectors.Provisioner: the activity type of texts, and the
// person field for consent. Who may create them is an administrator.
func (c *Connector) Provision(ctx context.Context, dryRun bool) ([]connectors.Change, error) {
	var changes []connectors.Change
	for _, provide := range []func(context.Context, bool) (string, error){c.provideType, c.provideField} {
		what, err := provide(ctx, dryRun)
		if what != "" {
			changes = append(changes, connectors.Change{What: what, Done: !dryRun && err == nil})
		}
		if err != nil {
			return changes, err
		}
	}
	return changes, nil
}

// provideType answers what is missing, and creates it.
func (c *Connector) provideType(ctx context.Context, dryRun bool) (string, error) {
	const op = "provision"
	types, err := c.api.activityTypes(ctx, op)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(types, func(t activityType) bool { return t.Key == c.cfg.ActivityType })
	if i >= 0 && types[i].Active {
		return "", nil
	}
	if i >= 0 {
		return "", conflict(op, "the activity type %s is not active: activate it in Pipedrive", c.cfg.ActivityType)
	}
	what := "create activity type " + c.cfg.ActivityType
	if dryRun {
		return what, nil
	}
	return what, c.addType(ctx, op)
}

// addType creates the type. Pipedrive makes its key from its name
// (https://developers.pipedrive.com/docs/api/v1/ActivityTypes).
func (c *Connector) addType(ctx context.Context, op string) error {
	name := c.cfg.ActivityType
	if name == Defaults().ActivityType {
		name = "SMS"
	}
	added, err := c.api.addActivityType(ctx, op, activityType{Name: name, Icon: "bubble"})
	if err == nil && added.Key != c.cfg.ActivityType {
		err = conflict(op, "Pipedrive gave the new activity type the key %q: set activity_type to it", added.Key)
	}
	return err
}

func (c *Connector) provideField(ctx context.Context, dryRun bool) (string, error) {
	const op = "provision"
	key, err := c.optOutKey(ctx, op)
	if err != nil || key != "" {
		return "", err
	}
	if fieldKey.MatchString(c.cfg.OptOutField) {
		return "", conflict(op, "no person field has the key in opt_out_field: put a name there, and it is created")
	}
	what := fmt.Sprintf("create field %q on persons", c.cfg.OptOutField)
	if dryRun {
		return what, nil
	}
	return what, c.api.addPersonField(ctx, op, field{Name: c.cfg.OptOutField, Type: "varchar"})
}

func conflict(op, format string, args ...any) error {
	return &connectors.Error{Op: op, Kind: connectors.Conflict, Err: fmt.Errorf(format, args...)}
}
