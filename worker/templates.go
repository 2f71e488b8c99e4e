package worker

import (
	"errors"
	"maps"
	"slices"

	"crmsync/activities"
	"crmsync/config"
	"crmsync/connectors/templates"
)

// templatesOf reads what a connector's records and new contacts say. All problems
// are reported at once.
func templatesOf(c *config.Connector) (activities.Templates, error) {
	var problems []error
	read := func(key, source string) *templates.Template {
		t, err := activities.ParseTemplate(source)
		if err != nil {
			problems = append(problems, c.Errorf(key, "%v", err))
		}
		return t
	}
	var all activities.Templates
	if c.Templates.Subject != "" {
		all.Subject = read("templates.subject", c.Templates.Subject)
	}
	if c.Templates.Body != "" {
		all.Body = read("templates.body", c.Templates.Body)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Contacts.Fields)) {
		if all.Fields == nil {
			all.Fields = map[string]*templates.Template{}
		}
		all.Fields[name] = read("contacts.fields."+name, c.Contacts.Fields[name])
	}
	return all, errors.Join(problems...)
}
