package connectors

import (
	"errors"
	"fmt"
	"net/http"
	"time"
	_ "time/tzdata" // time zones are known on a machine without a database of them, too
)

// Limit is one bucket of the vendor's request limits. Everybody who calls the
// CRM account's API draws on it, so that the daemon spends less than all of it
// (the configuration's budget.share).
type Limit struct {
	// Name tells a definition's buckets apart, in errors, metrics and Redis.
	Name string
	// Amount is how many requests or tokens a window allows.
	Amount int
	// Window is rolling: no stretch of time that long holds more than Amount.
	// That keeps a vendor's fixed windows too.
	Window time.Duration
	// Midnight names the time zone (such as America/New_York) at whose midnight
	// the bucket is full again, in place of a rolling window; Window is then 0
	// or 24 h.
	Midnight string
	// Cost answers what a request takes from the bucket, 0 where the limit does
	// not apply to it; nil: each takes 1. It is called once for each HTTP
	// request, redirects too, and leaves the body alone.
	Cost func(*http.Request) int `json:"-"`
}

// Usage is what an answer says about a bucket.
type Usage struct {
	// Limit is the bucket's name. Others than the definition's are ignored.
	Limit string
	// Remaining is how much everybody on the account may still spend of it.
	Remaining int
	// Reset is how long until all of it is there again; 0 where the vendor does
	// not say, or the window is rolling.
	Reset time.Duration
}

// day is the window of a limit with Midnight, as it is named.
const day = 24 * time.Hour

// Validate reports what keeps the limit from being used.
func (l Limit) Validate() error {
	switch {
	case l.Name == "":
		return errors.New("a limit needs a name")
	case l.Amount <= 0:
		return fmt.Errorf("limit %s: the amount must be above 0", l.Name)
	case l.Midnight == "" && l.Window < time.Millisecond:
		return fmt.Errorf("limit %s: the window must be 1ms or longer", l.Name)
	case l.Midnight != "" && l.Window != 0 && l.Window != day:
		return fmt.Errorf("limit %s: the window of one with a midnight is a day", l.Name)
	}
	_, err := l.Zone()
	return err
}

// Zone loads the time zone of Midnight. It is slow: call it once.
func (l Limit) Zone() (*time.Location, error) {
	zone, err := time.LoadLocation(l.Midnight)
	if err != nil {
		return nil, fmt.Errorf("limit %s: there is no time zone %q", l.Name, l.Midnight)
	}
	return zone, nil
}

// ValidateLimits reports what keeps the limits from being used together.
func ValidateLimits(limits []Limit) error {
	names := map[string]bool{}
	var errs []error
	for _, l := range limits {
		errs = append(errs, l.Validate())
		if names[l.Name] {
			errs = append(errs, fmt.Errorf("limit %s is there twice", l.Name))
		}
		names[l.Name] = true
	}
	return errors.Join(errs...)
}

// CostOf is what the request takes from the bucket, never less than 0.
func (l Limit) CostOf(r *http.Request) int {
	if l.Cost == nil {
		return 1
	}
	return max(l.Cost(r), 0)
}

// Day answers when the day began that now belongs to in its own time zone, and
// when the next one begins. Where clocks skip midnight a day begins when they go
// on, and where they pass it twice, at the first time.
func Day(now time.Time) (from, to time.Time) {
	y, m, d := now.Date()
	return midnight(y, m, d, now.Location()), midnight(y, m, d+1, now.Location())
}

// quarter divides every change that clocks make.
const quarter = 15 * time.Minute

// midnight is the first instant of a day. time.Date may answer another one,
// where clocks change at midnight.
func midnight(y int, m time.Month, d int, zone *time.Location) time.Time {
	of := time.Date(y, m, d, 12, 0, 0, 0, zone).Day()
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	for t.Day() != of {
		t = t.Add(quarter)
	}
	for t.Add(-quarter).Day() == of {
		t = t.Add(-quarter)
	}
	return t
}
