package worker

import (
	"context"
	"maps"
	"slices"
	"time"

	"crmsync/internal/oauth"
)

// grants says which sign-ins are missing or end soon, and whether they are kept
// safely.
func (f *findings) grants(ctx context.Context, s *signIns) {
	if s.store == nil {
		return
	}
	if risk := s.risk(ctx); risk != "" {
		f.warn("redis", "keeps the sign-ins of connectors, and %s", risk)
	}
	for _, name := range slices.Sorted(maps.Keys(s.sources)) {
		source := s.sources[name]
		status, err := source.Status(ctx)
		if err != nil {
			f.fail("connectors."+name+".oauth", "%v", err)
			continue
		}
		f.signIn("connectors."+name+".oauth", status, source.Settings.Unused)
	}
}

func (f *findings) signIn(about string, s oauth.Status, unused time.Duration) {
	switch {
	case s.Problem != "":
		f.fail(about, "%s", s.Problem)
	case s.Ends.IsZero():
	case time.Until(s.Ends) < unused/2:
		f.warn(about, "is not renewed any more and ends on %s: is 'crmsync run' running? It renews what nothing uses", s.Ends.Format(time.DateOnly))
	}
}
