package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"
)

// readyTimeout bounds one look at Temporal, or at the spool.
const readyTimeout = time.Second

// ready reports why this process cannot do its part, or nil. Ingress can where
// an event can be taken durably, by Temporal or by the spool; the others need
// Temporal. A CRM's state never matters.
func (d *daemon) ready(ctx context.Context) error {
	if d.stopped.Load() {
		return errors.New("stopping")
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if !d.part.does(roleIngress) {
		return d.reaches(ctx)
	}
	spool := make(chan error, 1)
	go func() { spool <- d.spool.Check(ctx) }()
	err := d.reaches(ctx)
	if err == nil {
		return nil
	}
	if spoolErr := <-spool; spoolErr != nil {
		return errors.Join(err, spoolErr)
	}
	return nil
}

// reaches reports why Temporal takes nothing from this process, or nil.
func (d *daemon) reaches(ctx context.Context) error {
	if !d.started.Load() {
		return errors.New("temporal: starting, and waiting for it")
	}
	if _, err := d.temporal.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return fmt.Errorf("temporal: %w", err)
	}
	return nil
}
