package fake

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// sentence is the form of SOSL that is understood.
var (
	sentence  = regexp.MustCompile(`^FIND \{([^{}]*)\} IN PHONE FIELDS RETURNING (.+) LIMIT (\d+)$`)
	returning = regexp.MustCompile(`^(Contact|Lead)\(([\w., ]+?)(?: WHERE (.+))?\)$`)
	between   = regexp.MustCompile(`\), `)
	digits    = regexp.MustCompile(`^[0-9]+$`)
)

// maxTerms is the longest text of a search whose ORs are honoured.
const maxTerms = 4_000

// sosl serves Search.
func (o *Org) sosl(c call, _ []string) answer {
	m := sentence.FindStringSubmatch(c.query("q"))
	if m == nil {
		return refuse(400, "MALFORMED_SEARCH", "No search term found. The search term must be enclosed in braces.")
	}
	terms := strings.Split(m[1], " OR ")
	if len(m[1]) > maxTerms || slices.ContainsFunc(terms, func(t string) bool { return !digits.MatchString(t) }) {
		return refuse(400, "MALFORMED_SEARCH", "the search term is too long or not made of digits")
	}
	wanted := map[string]bool{}
	for _, t := range terms {
		wanted[t] = true
	}
	found := []any{}
	for part := range strings.SplitSeq(between.ReplaceAllString(m[2], ")\n"), "\n") {
		of, s, a := o.returning(part)
		if a != nil {
			return *a
		}
		for _, row := range of.rows {
			if !row.deleted && o.searchable(row) && of.matches(row, s.where) && of.carries(row, wanted) {
				found = append(found, o.shown(of, row, s.fields, c.version))
			}
		}
	}
	return answer{200, map[string]any{"searchRecords": found[:min(len(found), 2_000)]}}
}

// returning reads which object to search, with what fields and conditions.
func (o *Org) returning(part string) (*object, statement, *answer) {
	m := returning.FindStringSubmatch(part)
	if m == nil {
		return nil, statement{}, at400("MALFORMED_SEARCH", "unexpected token in RETURNING")
	}
	soql := "SELECT " + m[2] + " FROM " + m[1]
	if m[3] != "" {
		soql += " WHERE " + m[3]
	}
	s, ok := parseSOQL(soql)
	if !ok {
		return nil, s, at400("MALFORMED_SEARCH", "unexpected token in RETURNING")
	}
	of := o.objects[m[1]]
	return of, s, of.refuses(s)
}

func (o *Org) searchable(r *row) bool {
	return r.indexed || time.Since(r.modified) >= o.options.SearchLag
}

// carries reports whether a field of type phone holds one of the terms: words end
// where digits change to letters, and punctuation is disregarded.
func (of *object) carries(r *row, terms map[string]bool) bool {
	for name, f := range of.fields {
		held, _ := r.values[name].(string)
		if f.kind != phone || held == "" {
			continue
		}
		bare := strings.Map(func(c rune) rune {
			if unicode.IsLetter(c) || c >= '0' && c <= '9' {
				return c
			}
			return -1
		}, held)
		for _, word := range strings.FieldsFunc(bare, unicode.IsLetter) {
			if terms[word] {
				return true
			}
		}
	}
	return false
}
