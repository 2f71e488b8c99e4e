package salesforce

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors"
)

// perDay is the organisation's limit on requests, in a rolling window of 24
// hours and shared by all its applications.
// https://developer.salesforce.com/docs/atlas.en-us.salesforce_app_limits_cheatsheet.meta/salesforce_app_limits_cheatsheet/salesforce_app_limits_platform_api.htm
const perDay = "day"

// defaultDailyRequests is what Enterprise Edition has before 1,000 more for each
// licence; Developer Edition has 15,000, which answers tell.
const defaultDailyRequests = 100_000

// limits answers the one bucket. Whatever a request holds, it counts as one:
// 200 records, or the parts of a composite request.
func limits(perOrganisation int) []connectors.Limit {
	return []connectors.Limit{{Name: perDay, Amount: perOrganisation, Window: 24 * time.Hour}}
}

// usage reads Sforce-Limit-Info: api-usage=10018/100000, which may have further
// parts, such as the share of one application.
// https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_api_usage.htm
func usage(h http.Header) []connectors.Usage {
	for part := range strings.FieldsFuncSeq(h.Get("Sforce-Limit-Info"), func(r rune) bool { return r == ';' || r == ',' }) {
		said, ok := strings.CutPrefix(strings.TrimSpace(part), "api-usage=")
		used, most, _ := strings.Cut(said, "/")
		u, err := strconv.Atoi(used)
		m, err2 := strconv.Atoi(most)
		if ok && err == nil && err2 == nil {
			return []connectors.Usage{{Limit: perDay, Remaining: max(m-u, 0)}}
		}
	}
	return nil
}
