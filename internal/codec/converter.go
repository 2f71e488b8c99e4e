package codec

import (
	"context"
	"errors"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Converters are what a Temporal client needs so that nothing private leaves the
// process in the clear. With an empty ring nothing is encrypted, and what was
// encrypted before cannot be read.
func (r *Ring) Converters() (converter.DataConverter, converter.FailureConverter) {
	data := dataConverter{converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), payloads{r})}
	failures := temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{
		DataConverter: data, EncodeCommonAttributes: !r.Empty(),
	})
	return data, failures
}

// dataConverter keeps a lost key from losing events. To a workflow a payload
// that cannot be decrypted must be no error: the SDK would fail the workflow for
// its input, for good, and drop a signal. A panic blocks the workflow where it
// is, visibly, and Temporal tries again until the key is back.
type dataConverter struct{ converter.DataConverter }

var _ workflow.ContextAware = dataConverter{}

// WithContext implements workflow.ContextAware: elsewhere an error is an error.
func (c dataConverter) WithContext(context.Context) converter.DataConverter { return c }

// WithWorkflowContext implements workflow.ContextAware.
func (c dataConverter) WithWorkflowContext(workflow.Context) converter.DataConverter {
	return blocking(c)
}

type blocking struct{ converter.DataConverter }

// FromPayload implements converter.DataConverter.
func (b blocking) FromPayload(p *commonpb.Payload, into any) error {
	return orBlock(b.DataConverter.FromPayload(p, into))
}

// FromPayloads implements converter.DataConverter.
func (b blocking) FromPayloads(p *commonpb.Payloads, into ...any) error {
	return orBlock(b.DataConverter.FromPayloads(p, into...))
}

func orBlock(err error) error {
	if errors.Is(err, ErrUnknownKey) || errors.Is(err, errDamaged) {
		panic(err)
	}
	return err
}
