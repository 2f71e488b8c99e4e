package activities

import (
	"time"

	"go.temporal.io/sdk/temporal"

	"crmsync/connectors"
)

// FailureDetail travels with every failure, for workflows that must know more
// than its type.
type FailureDetail struct {
	Ambiguous  bool          `json:"ambiguous,omitempty"`
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	Status     int           `json:"status,omitempty"`
}

// failure turns a connector's error into Temporal's: the kind becomes the type
// on which workflows switch, since Go types do not survive; what repeating
// cannot help is not retried; RetryAfter is honoured to the second.
func failure(err *connectors.Error) error {
	options := temporal.ApplicationErrorOptions{
		NonRetryable:   err.Kind.Permanent(),
		NextRetryDelay: err.RetryAfter,
		Details:        []any{FailureDetail{err.Ambiguous, err.RetryAfter, err.Status}},
	}
	if !options.NonRetryable {
		options.Category = temporal.ApplicationErrorCategoryBenign
	}
	return temporal.NewApplicationErrorWithOptions(err.Error(), string(err.Kind), options)
}

// again is a failure that is nobody's fault and is retried after delay, or
// after the usual back-off where delay is 0.
func again(kind, message string, delay time.Duration) error {
	return temporal.NewApplicationErrorWithOptions(message, kind, temporal.ApplicationErrorOptions{
		NextRetryDelay: delay,
		Category:       temporal.ApplicationErrorCategoryBenign,
	})
}

// park is a failure that waits for a person.
func park(kind, message string) error {
	return temporal.NewApplicationErrorWithOptions(message, kind, temporal.ApplicationErrorOptions{NonRetryable: true})
}
