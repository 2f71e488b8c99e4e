package worker

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"crmsync/config"
	"crmsync/connectors"
	"crmsync/internal/ledger"
	"crmsync/internal/oauth"
)

const (
	// lastRenewal is how long a process that stops waits for a renewal.
	lastRenewal = 5 * time.Second
	// tendEvery is how often sign-ins are looked at that nothing uses.
	tendEvery = time.Hour
)

// signIns are those of the configured connectors.
type signIns struct {
	config  *config.Config
	log     hclog.Logger
	store   oauth.Store    // nil until one is needed
	redis   *ledger.Grants // nil where the store is a file
	sources map[string]*oauth.Source
}

// newSignIns does no I/O.
func newSignIns(c *config.Config, log hclog.Logger) *signIns {
	return &signIns{config: c, log: log, sources: map[string]*oauth.Source{}}
}

// open makes the sign-in of an instance, whose requests go over base; nil where
// it has none.
func (s *signIns) open(c *config.Connector, definition connectors.Definition, base http.RoundTripper) (*oauth.Source, error) {
	if c.OAuth == nil {
		return nil, nil
	}
	if source := s.sources[c.Name()]; source != nil {
		return source, nil
	}
	if definition.SignIn == nil {
		return nil, c.Errorf("oauth", "%s is not signed in to with OAuth; see 'crmsync connectors %s'", definition.Title, definition.Name)
	}
	settings, err := oauth.Resolve(*c.OAuth, *definition.SignIn)
	if err != nil {
		return nil, fmt.Errorf("connectors.%s.oauth: %w", c.Name(), err)
	}
	if settings.Shared() {
		if err := s.openStore(); err != nil {
			return nil, fmt.Errorf("connectors.%s.oauth: %w", c.Name(), err)
		}
	}
	source := oauth.NewSource(oauth.Options{
		Connector: c.Name(), Settings: settings, Store: s.store, Transport: base, Log: s.log.Named("oauth"),
	})
	s.sources[c.Name()] = source
	return source, nil
}

func (s *signIns) openStore() (err error) {
	if s.store != nil {
		return nil
	}
	if file := s.config.Grants.File; file != "" {
		s.store = oauth.NewFile(file)
		return nil
	}
	ring, err := ringOf(s.config)
	if err != nil {
		return err
	}
	s.redis, err = ledger.OpenGrants(ledger.Options{
		URL: s.config.Redis.URL.Reveal(), Mode: string(s.config.Redis.Mode), Name: s.config.Name, Ring: ring, Log: s.log.Named("redis"),
	})
	if err != nil {
		return err
	}
	s.store = s.redis
	return nil
}

// where says in words where grants are kept.
func (s *signIns) where() string {
	if s.config.Grants.File != "" {
		return s.config.Grants.File
	}
	return "redis"
}

// risk says how the store may lose grants; empty: not that anybody knows.
func (s *signIns) risk(ctx context.Context) string {
	if s.redis == nil {
		return ""
	}
	settings, err := s.redis.Settings(ctx)
	if err != nil {
		return ""
	}
	return settings.GrantRisk()
}

// tend keeps sign-ins alive that nothing uses, until ctx ends.
func (s *signIns) tend(ctx context.Context) {
	ticker := time.NewTicker(tendEvery)
	defer ticker.Stop()
	for {
		for _, source := range s.sources {
			if err := source.Tend(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("a sign-in that nothing uses could not be renewed", "connector", source.Connector, "error", err)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// close waits a little for renewals that are under way, so that none is lost
// with the process.
func (s *signIns) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), lastRenewal)
	defer cancel()
	var wg sync.WaitGroup
	for _, source := range s.sources {
		wg.Go(func() { source.Wait(ctx) })
	}
	wg.Wait()
	if s.redis == nil {
		return nil
	}
	return s.redis.Close()
}
