// Package codec keeps what texts say, and whose they are, from those who can
// read the databases of Temporal and Redis.
//
// With a [Ring] of keys every payload that goes to Temporal (inputs, results,
// signals, updates, memos, summaries) is encrypted in this process, and so are
// the messages of failures. Temporal keeps in the clear: workflow ids, search
// attributes, names of types and queues, and the types of failures; crmsync puts
// no number and no text into those. Its UI shows payloads through the decode
// requests that [Handler] serves.
package codec

import (
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
)

// The metadata of an encrypted payload. Both are persisted, and the first is
// what Temporal's own samples use, so that its tools know it.
const (
	encoding    = "binary/encrypted"
	metadataKey = "encryption-key-id"
)

// purpose binds a sealed payload to Temporal.
const purpose = "temporal payload"

// payloads implements converter.PayloadCodec.
type payloads struct{ ring *Ring }

// Encode implements converter.PayloadCodec.
func (c payloads) Encode(in []*commonpb.Payload) ([]*commonpb.Payload, error) {
	if c.ring.Empty() {
		return in, nil
	}
	out := make([]*commonpb.Payload, len(in))
	for i, p := range in {
		plain, err := proto.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("encode payload: %w", err)
		}
		sealed := c.ring.Seal(plain, purpose)
		out[i] = &commonpb.Payload{
			Metadata: map[string][]byte{converter.MetadataEncoding: []byte(encoding), metadataKey: []byte(keyID(sealed))},
			Data:     sealed,
		}
	}
	return out, nil
}

// Decode implements converter.PayloadCodec. What is not encrypted stays as it
// is, so that keys can be added while workflows run.
func (c payloads) Decode(in []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(in))
	for i, p := range in {
		if string(p.GetMetadata()[converter.MetadataEncoding]) != encoding {
			out[i] = p
			continue
		}
		plain, err := c.ring.Open(p.GetData(), purpose)
		if err != nil {
			return nil, fmt.Errorf("decrypt payload: %w", err)
		}
		out[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(plain, out[i]); err != nil {
			return nil, fmt.Errorf("decode payload: %w", err)
		}
	}
	return out, nil
}
