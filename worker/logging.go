package worker

import (
	"io"

	"github.com/hashicorp/go-hclog"
	"go.temporal.io/sdk/log"

	"crmsync/config"
)

// newLogger makes the one logger of the process. It holds no phone number, text
// or secret at info level or above.
func newLogger(c config.Log, w io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name:       "crmsync",
		Level:      hclog.LevelFromString(c.Level),
		Output:     w,
		JSONFormat: c.Format == config.JSONLog,
	})
}

// temporalLogger gives the same logger to Temporal's SDK.
type temporalLogger struct{ hclog.Logger }

var _ log.WithLogger = temporalLogger{}

func (l temporalLogger) With(keyvals ...any) log.Logger {
	return temporalLogger{l.Logger.With(keyvals...)}
}
