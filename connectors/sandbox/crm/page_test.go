package crm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"crmsync/sms"
)

func TestWordsLeaveMediaLinksOut(t *testing.T) {
	t.Parallel()
	media := []sms.Media{{URL: "https://example.com/a.jpg"}}
	require.Equal(t, "see here", words(Message{Body: "see here\nhttps://example.com/a.jpg", Media: media}))
	require.Empty(t, words(Message{Body: "https://example.com/a.jpg", Media: media}))
	require.Equal(t, "https://example.com/b.jpg", words(Message{Body: "https://example.com/b.jpg", Media: media}))
}
