package api_test

import (
	"errors"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"crmsync/connectors"
	"crmsync/internal/justcall/api"
	"crmsync/internal/justcall/justcalltest"
	"crmsync/sms"
)

var begin = time.Date(2026, 3, 12, 14, 30, 0, 0, time.UTC)

// serve answers a fake and a client for it.
func serve(t *testing.T, o justcalltest.Options) (*justcalltest.Server, *api.Client) {
	t.Helper()
	fake := justcalltest.NewServer(o)
	t.Cleanup(fake.Close)
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	return fake, client(server.URL, o)
}

func client(base string, o justcalltest.Options) *api.Client {
	s := api.Settings{Account: "main", Region: "US", BaseURL: base, Version: o.API, Key: "key", Secret: "secret", Auth: o.Auth}
	if s.Auth == "" {
		s.Auth = map[string]string{"v2": api.Bearer, "v2.1": api.Plain}[o.API]
	}
	return api.New(s, nil)
}

// read answers all texts of a query, page by page, and how many pages there were.
func read(t *testing.T, c *api.Client, q api.Query) (texts []api.Text, pages int) {
	t.Helper()
	for cursor := api.Cursor(""); ; {
		page, err := c.Texts(t.Context(), q, cursor)
		require.NoError(t, err)
		require.Less(t, pages, 100, "the list does not end")
		texts, pages, cursor = append(texts, page.Texts...), pages+1, page.Next
		if cursor == "" {
			return texts, pages
		}
	}
}

func keys(t *testing.T, texts []api.Text) (keys []string) {
	t.Helper()
	for _, text := range texts {
		require.NoError(t, text.Err)
		for _, e := range text.Events {
			keys = append(keys, e.Key())
		}
	}
	return keys
}

// wanted are the keys of the texts that MakeTexts made.
func wanted(texts []justcalltest.Text) (keys []string) {
	for _, text := range texts {
		if text.Direction == sms.Inbound {
			keys = append(keys, "main/"+text.ID+"/sms.received")
			continue
		}
		keys = append(keys, "main/"+text.ID+"/sms.sent", "main/"+text.ID+"/sms.delivered")
	}
	return keys
}

func kind(t *testing.T, err error) connectors.Kind {
	t.Helper()
	e, ok := errors.AsType[*connectors.Error](err)
	require.True(t, ok, "%v", err)
	return e.Kind
}

// Whatever the pages are like, each text is there once.
func TestEveryTextOnce(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", -12*3600)
	for name, o := range map[string]justcalltest.Options{
		"v2":                    {API: "v2"},
		"v2, from 0":            {API: "v2", OtherBase: true},
		"v2, small pages":       {API: "v2", MaxPage: 7},
		"v2, basic":             {API: "v2", Auth: "basic"},
		"v2.1":                  {API: "v2.1", MaxPage: 15},
		"v2.1, from 1":          {API: "v2.1", MaxPage: 15, OtherBase: true},
		"v2.1, no links":        {API: "v2.1", MaxPage: 15, NoLinks: true},
		"v2.1, nothing is said": {API: "v2.1", MaxPage: 15, NoLinks: true, NoTotals: true},
		"the same, from 1":      {API: "v2.1", MaxPage: 15, NoLinks: true, NoTotals: true, OtherBase: true},
		"v2.1, a zone":          {API: "v2.1", MaxPage: 15, Zone: zone},
		"v2.1, bearer":          {API: "v2.1", Auth: "bearer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, n := range []int{0, 1, 20, 45} {
				fake, c := serve(t, o)
				texts := justcalltest.MakeTexts(n, 1001, begin, time.Minute)
				fake.Put(texts...)
				got, _ := read(t, c, api.Query{})
				require.ElementsMatch(t, wanted(texts), keys(t, got), "%d texts", n)
				if o.API == "v2.1" {
					require.Equal(t, wanted(texts), keys(t, got), "the oldest first")
				}
			}
		})
	}
}

// A window is one of UTC, whatever the user's zone.
func TestWindow(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"v2", "v2.1"} {
		for _, hours := range []int{-12, 0, 14} {
			o := justcalltest.Options{API: version, Zone: time.FixedZone("", hours*3600)}
			fake, c := serve(t, o)
			texts := justcalltest.MakeTexts(60, 1001, begin, time.Hour)
			fake.Put(texts...)
			got, _ := read(t, c, api.Query{Since: texts[30].At, Until: texts[40].At})
			require.ElementsMatch(t, wanted(texts[30:40]), keys(t, got))
			got, _ = read(t, c, api.Query{Line: justcalltest.Line, Contact: texts[7].Contact})
			require.Equal(t, wanted(texts[7:8]), keys(t, got))
			got, _ = read(t, c, api.Query{Line: "+15125550199"})
			require.Empty(t, got)
		}
	}
}

// The classic API knows no window: a list that begins with the newest is not read
// to its end, any other one is.
func TestClassicListIsReadAsFarAsItMust(t *testing.T) {
	t.Parallel()
	fake, c := serve(t, justcalltest.Options{API: "v2"})
	texts := justcalltest.MakeTexts(160, 1001, begin, time.Hour)
	fake.Put(texts...)
	got, pages := read(t, c, api.Query{Since: texts[150].At})
	require.Len(t, got, 10)
	require.LessOrEqual(t, pages, 3)

	backwards, c := serve(t, justcalltest.Options{API: "v2"})
	for i := range texts {
		backwards.Put(texts[len(texts)-1-i])
	}
	got, pages = read(t, c, api.Query{Since: texts[150].At})
	require.Len(t, got, 10)
	require.GreaterOrEqual(t, pages, 8)
}

// Texts come and go while a list is read.
func TestRowsThatMove(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]justcalltest.Options{
		"v2":             {API: "v2", MaxPage: 10},
		"v2, from 0":     {API: "v2", MaxPage: 10, OtherBase: true},
		"v2.1":           {API: "v2.1", MaxPage: 10},
		"v2.1, silent":   {API: "v2.1", MaxPage: 10, NoLinks: true, NoTotals: true},
		"v2.1, from 1":   {API: "v2.1", MaxPage: 10, OtherBase: true},
		"v2.1, no links": {API: "v2.1", MaxPage: 10, NoLinks: true},
	} {
		for change, f := range map[string]func(*justcalltest.Server, []justcalltest.Text, int){
			"come": func(s *justcalltest.Server, _ []justcalltest.Text, page int) {
				s.Put(justcalltest.MakeTexts(3, 5000+10*page, begin.Add(200*time.Hour), time.Second)...)
			},
			"go": func(s *justcalltest.Server, texts []justcalltest.Text, page int) {
				// Those at both ends: they are on pages that were read.
				s.Remove(texts[page].ID, texts[len(texts)-1-page].ID)
			},
			"come and go": func(s *justcalltest.Server, texts []justcalltest.Text, page int) {
				s.Put(justcalltest.MakeTexts(1, 5000+10*page, begin.Add(200*time.Hour), time.Second)...)
				s.Remove(texts[page].ID, texts[len(texts)-1-page].ID)
			},
		} {
			t.Run(name+": "+change, func(t *testing.T) {
				t.Parallel()
				fake, c := serve(t, o)
				texts := justcalltest.MakeTexts(45, 1001, begin, time.Hour)
				fake.Put(texts...)
				fake.OnList(func(page int) {
					if page > 1 && page < 6 {
						f(fake, texts, page)
					}
				})
				got, _ := read(t, c, api.Query{})
				require.Subset(t, keys(t, got), wanted(texts[6:39]))
			})
		}
	}
}

func TestOneText(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"v2", "v2.1"} {
		fake, c := serve(t, justcalltest.Options{API: version})
		texts := justcalltest.MakeTexts(2, 1001, begin, time.Minute)
		fake.Put(texts...)
		got, err := c.Text(t.Context(), "1002")
		require.NoError(t, err)
		require.Equal(t, "1002", got.ID)
		require.Equal(t, wanted(texts[1:]), keys(t, []api.Text{got}))
		require.Equal(t, texts[1].At, got.At)
		_, err = c.Text(t.Context(), "7")
		require.Equal(t, connectors.NotFound, kind(t, err))
		_, err = c.Text(t.Context(), "")
		require.Equal(t, connectors.Invalid, kind(t, err))
		_, err = c.Text(t.Context(), "../users")
		require.Equal(t, connectors.NotFound, kind(t, err))
	}
}

// A row that cannot be decoded is answered, and hides nothing else.
func TestRowThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	fake, c := serve(t, justcalltest.Options{API: "v2.1"})
	texts := justcalltest.MakeTexts(3, 1001, begin, time.Minute)
	texts[1].Contact = "?!"
	fake.Put(texts...)
	// It is a text of the day, whose window the API widens.
	got, _ := read(t, c, api.Query{Since: begin.Add(time.Hour)})
	require.Len(t, got, 1)
	require.ErrorContains(t, got[0].Err, "text: row.contact_number")
	require.Empty(t, got[0].Events)
	require.Equal(t, "1002", got[0].ID)
	require.Contains(t, string(got[0].Raw), `"id":1002`)
	texts[1].Contact, texts[1].Status = "+15125551234", "scheduled"
	fake.Put(texts[1])
	got, _ = read(t, c, api.Query{})
	require.Len(t, got, 2, "what is not sent yet is no text")
}

// A cursor may be kept: it holds nothing that anybody must not see.
func TestCursor(t *testing.T) {
	t.Parallel()
	fake, c := serve(t, justcalltest.Options{API: "v2.1"})
	fake.Put(justcalltest.MakeTexts(250, 1001, begin, time.Minute)...)
	page, err := c.Texts(t.Context(), api.Query{Contact: ""}, "")
	require.NoError(t, err)
	require.Equal(t, 250, page.Total)
	require.Len(t, page.Texts, 100)
	require.Less(t, len(page.Next), 2000)
	require.Equal(t, string(page.Next), url.QueryEscape(string(page.Next)))
	again, err := c.Texts(t.Context(), api.Query{}, page.Next)
	require.NoError(t, err)
	same, err := c.Texts(t.Context(), api.Query{}, page.Next)
	require.NoError(t, err)
	require.Equal(t, again, same, "reading a page again is harmless")
	require.Equal(t, "1101", again.Texts[0].ID)
	for _, wrong := range []api.Cursor{"?", "e30x", "eyJwYWdlcyI6MTAwMDAwfQ"} {
		_, err := c.Texts(t.Context(), api.Query{}, wrong)
		require.NotEmpty(t, kind(t, err))
	}
	require.Equal(t, 3, fake.Calls()["GET v2.1/texts"])
}

func TestLimits(t *testing.T) {
	t.Parallel()
	fake, c := serve(t, justcalltest.Options{API: "v2.1", PerMinute: 2, PerHour: 100})
	fake.Put(justcalltest.MakeTexts(1, 1001, begin, time.Minute)...)
	for range 2 {
		_, err := c.Texts(t.Context(), api.Query{}, "")
		require.NoError(t, err)
	}
	_, err := c.Texts(t.Context(), api.Query{}, "")
	require.Equal(t, connectors.RateLimited, kind(t, err))
	wait := connectors.AsError("", err).RetryAfter
	require.Greater(t, wait, 50*time.Second)
	require.LessOrEqual(t, wait, time.Minute)
}

func TestNoSecretInErrors(t *testing.T) {
	t.Parallel()
	_, right := serve(t, justcalltest.Options{API: "v2.1", Key: "another"})
	_, err := right.Texts(t.Context(), api.Query{Contact: "+15125551234"}, "")
	require.Equal(t, connectors.Auth, kind(t, err))
	require.NotContains(t, err.Error(), "secret")
	require.NotContains(t, err.Error(), "5551234")
}
