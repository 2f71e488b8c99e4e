package salesforce

import (
	"net/url"
	"strings"
)

// quoted writes a value as a string of SOQL.
// https://developer.salesforce.com/docs/platform/salesforce-soql-sosl/guide/sforce-api-calls-soql-select-quotedstringescapes.html
func quoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + "'"
}

// lists writes values as lists for IN, each of at most so many bytes as they
// stand in a URL, and each value once.
func lists(values []string, most int) []string {
	var all []string
	list, size := "", 0
	seen := map[string]bool{}
	for _, value := range values {
		if seen[value] {
			continue
		}
		seen[value] = true
		item := quoted(value)
		cost := len(url.QueryEscape(item + ","))
		if list != "" && size+cost > most {
			all, list, size = append(all, list), "", 0
		}
		if list != "" {
			list += ","
		}
		list, size = list+item, size+cost
	}
	if list != "" {
		all = append(all, list)
	}
	return all
}
