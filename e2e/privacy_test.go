package e2e

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"crmsync/config"
	"crmsync/connectors/connectortest"
	"crmsync/internal/codec"
	"crmsync/workflows"
)

// privacy is the configuration's section with these keys.
func privacy(keys []string) string {
	if len(keys) == 0 {
		return "{}"
	}
	return `{ keys: ["` + strings.Join(keys, `", "`) + `"] }`
}

func ringOf(t *testing.T, keys []string) *codec.Ring {
	t.Helper()
	section := config.Privacy{}
	for _, key := range keys {
		section.Keys = append(section.Keys, config.Secret(key))
	}
	ring, err := codec.NewRing(section.EncryptionKeys())
	require.NoError(t, err)
	return ring
}

func aKey(b byte) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(b), 32)))
}

// word stands in every body, so that one search finds any of them.
const word = "zanzibar"

// correspondence is texts of everything that may go wrong on the way: some are
// parked, some fail, some cannot be decoded, some are opt-outs.
type correspondence struct {
	numbers map[string]bool // ten digits each
	bodies  [][]byte
	events  int // that end as a completed SyncEvent
}

func newCorrespondence(texts, numbers int) *correspondence {
	c := &correspondence{numbers: map[string]bool{}}
	random := rand.New(rand.NewPCG(7, 7))
	var all []string
	for len(all) < numbers {
		if n := fmt.Sprintf(areaCode+"%03d%04d", 200+random.IntN(700), random.IntN(10000)); !c.numbers[n] {
			c.numbers[n] = true
			all = append(all, n)
		}
	}
	for i := range texts {
		number := "+1" + all[i%numbers]
		m := inbound(fmt.Sprintf("msg_%04d", i), number, fmt.Sprintf("%s %d, call %s", word, i, number))
		ours := i/numbers%2 == 1 // after the first one of the contact
		if ours {
			m = outbound(m.id, number, m.body)
		}
		c.bodies = append(c.bodies, m.json())
		c.events++
		switch {
		case ours && i%5 == 1:
			c.bodies = append(c.bodies, m.as("sms.delivered").json())
			c.events++
		case i%20 == 2:
			c.bodies = append(c.bodies, m.as("sms.optout").json())
		case i%20 == 4:
			c.bodies = append(c.bodies, []byte(strings.Replace(string(m.json()), m.id, "no id", 1)))
		}
	}
	return c
}

// TestNothingPrivateInTheOpen posts texts with keys set, some of which are
// parked and repaired, and then searches what Temporal and Redis have kept for
// any of the bodies and numbers. The same search without keys finds them, so
// that it can.
func TestNothingPrivateInTheOpen(t *testing.T) {
	t.Parallel()
	texts, numbers := 300, 60
	if testing.Short() {
		texts, numbers = 40, 10
	}
	t.Run("without keys", func(t *testing.T) {
		t.Parallel()
		found := leaks(t, setup{}, newCorrespondence(40, 10))
		require.Contains(t, found, "temporal: body")
		require.Contains(t, found, "temporal: number")
	})
	t.Run("with keys", func(t *testing.T) {
		t.Parallel()
		require.Empty(t, leaks(t, setup{keys: []string{aKey('b'), aKey('a')}}, newCorrespondence(texts, numbers)))
	})
}

// leaks runs the correspondence and answers what can be read afterwards, and
// where.
func leaks(t *testing.T, s setup, c *correspondence) map[string]string {
	t.Helper()
	folder := t.TempDir()
	s.temporal = temporalIn(t, folder, "")
	st := newStack(t, s)
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Poison, f.LoseEvery = []string{"msg_0000", "msg_0003"}, 20 })
	p := st.daemon()
	posting := postAll(p, c.bodies)
	posting.done.Wait()
	st.awaitParked(2)
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Poison = nil })
	require.NoError(t, st.update("main/msg_0000/sms.received", workflows.UpdateRetry, workflows.Repair{Reason: word}))
	require.NoError(t, st.update("main/msg_0003/sms.received", workflows.UpdateSkip, workflows.Repair{Reason: word}))
	st.settled(c.events, 5*time.Minute)
	st.readable(c)

	found := map[string]string{}
	c.search("temporal", everyFile(t, folder), found)
	c.search("redis", everyKey(t, st.redis.URL), found)
	c.search("log", []byte(p.log.String()), found)
	return found
}

// readable shows that who has the keys can still read a text.
func (st *stack) readable(c *correspondence) {
	st.t.Helper()
	history := st.client.GetWorkflowHistory(st.t.Context(), "main/msg_0002/sms.received", "", false, 0)
	first, err := history.Next()
	require.NoError(st.t, err)
	data, _ := ringOf(st.t, st.setup.keys).Converters()
	var in workflows.SyncInput
	require.NoError(st.t, data.FromPayloads(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), &in))
	require.Contains(st.t, in.Event.Message.Body, word)
	require.True(st.t, c.numbers[strings.TrimPrefix(string(in.Event.Message.Contact), "+1")])
}

// anyNumber matches a number of North America however it is written, unless it
// is part of a longer hexadecimal word.
var anyNumber = regexp.MustCompile(`(?:^|[^0-9a-fA-F])(?:1[ .-]?)?\(?(512)\)?[ .-]{0,2}(\d{3})[ .-]?(\d{4})(?:[^0-9a-fA-F]|$)`)

// search adds what of the correspondence can be read in a dump, with the place.
func (c *correspondence) search(where string, dump []byte, found map[string]string) {
	for _, view := range views(dump) {
		if i := strings.Index(view, word); i >= 0 {
			found[where+": body"] = around(view, i)
		}
		for i := range indexes(view, areaCode) {
			near := view[max(0, i-8):min(len(view), i+24)]
			for _, n := range anyNumber.FindAllStringSubmatch(near, -1) {
				if c.numbers[n[1]+n[2]+n[3]] {
					found[where+": number"] = around(view, i)
				}
			}
		}
	}
}

// areaCode begins every number of the correspondence.
const areaCode = "512"

// indexes are all places of part in s.
func indexes(s, part string) iter.Seq[int] {
	return func(yield func(int) bool) {
		for at := 0; ; at++ {
			i := strings.Index(s[at:], part)
			if i < 0 || !yield(at+i) {
				return
			}
			at += i
		}
	}
}

// encoded matches what may hide something in base64 or hexadecimal.
var encoded = regexp.MustCompile(`[A-Za-z0-9+/_-]{12,}`)

// views are a dump as it is, and what its words hide in base64 and hexadecimal.
func views(dump []byte) []string {
	var hidden strings.Builder
	for _, w := range encoded.FindAll(dump, -1) {
		plain := strings.NewReplacer("-", "+", "_", "/").Replace(string(w))
		for shift := range 4 { // a word may begin before the encoded text does
			if b, err := base64.RawStdEncoding.DecodeString(plain[shift : len(plain)-(len(plain)-shift)%4]); err == nil {
				hidden.Write(b)
				hidden.WriteByte('\n')
			}
		}
		if b, err := hex.DecodeString(plain[:len(plain)/2*2]); err == nil {
			hidden.Write(b)
			hidden.WriteByte('\n')
		}
	}
	return []string{string(dump), hidden.String()}
}

func around(s string, i int) string { return fmt.Sprintf("%q", s[max(0, i-60):min(len(s), i+60)]) }

// everyFile is what a folder holds.
func everyFile(t *testing.T, folder string) []byte {
	t.Helper()
	var all []byte
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(folder, f.Name()))
		require.NoError(t, err)
		all = append(all, b...)
	}
	require.NotEmpty(t, all)
	return all
}

// valueOf is what a key holds: a string, or the entries of a stream.
func valueOf(t *testing.T, client *redis.Client, key string) any {
	t.Helper()
	typ, err := client.Type(t.Context(), key).Result()
	require.NoError(t, err)
	var value any
	if typ == "stream" {
		value, err = client.XRange(t.Context(), key, "-", "+").Result()
	} else {
		value, err = client.Get(t.Context(), key).Result()
	}
	if !errors.Is(err, redis.Nil) { // gone meanwhile
		require.NoError(t, err, key)
	}
	return value
}

// everyKey is what Redis holds, keys and values.
func everyKey(t *testing.T, url string) []byte {
	t.Helper()
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	client := redis.NewClient(options)
	defer client.Close()
	var all []byte
	keys := client.Scan(t.Context(), 0, "*", 1000).Iterator()
	for keys.Next(t.Context()) {
		line, err := json.Marshal([]any{keys.Val(), valueOf(t, client, keys.Val())})
		require.NoError(t, err)
		all = append(append(all, line...), '\n')
	}
	require.NoError(t, keys.Err())
	require.NotEmpty(t, all)
	return all
}

// TestKeysRotate parks a text under one key and repairs it after another was
// put in front, by a process that knows both; one that lacks the old key cannot
// go on with it, and loses nothing.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	st := newStack(t, setup{keys: []string{aKey('a')}})
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Poison = []string{"msg_parked"} })
	p := st.daemon()
	p.accepted(inbound("msg_parked", "+15125551234", "before").json())
	st.awaitParked(1)
	p.term()
	st.crm.SetFaults(func(f *connectortest.Faults) { f.Poison = nil })

	st.setup.keys = []string{aKey('b')}
	stranger := st.daemon()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err := st.client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: "main/msg_parked/sms.received", UpdateName: workflows.UpdateRetry, Args: []any{workflows.Repair{}},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	require.Error(t, err)
	stranger.says("privacy.keys")
	require.Empty(t, st.crm.Messages())
	stranger.term()

	st.setup.keys = []string{aKey('b'), aKey('a')}
	p = st.daemon()
	p.accepted(inbound("msg_after", "+15125551234", "after").json())
	eventually(t, time.Minute, "the parked text is delivered", func() bool {
		_ = st.update("main/msg_parked/sms.received", workflows.UpdateRetry, workflows.Repair{})
		return len(st.crm.Messages()) == 2
	})
	require.Empty(t, st.crm.Doubles())
	require.Len(t, st.crm.Contacts(), 1)
}
