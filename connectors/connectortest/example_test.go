package connectortest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"crmsync/connectors"
	"crmsync/connectors/connectortest"
	"crmsync/sms"
)

// The CRM runs in the test; whoever talks to it, here or in another process,
// needs its address only.
func ExampleCRM() {
	crm := connectortest.NewCRM(connectortest.CRMOptions{Class: connectors.ClassB, Seed: 1})
	server := httptest.NewServer(crm)
	defer server.Close()
	settings := "type: testcrm\nclass: B\nbase_url: " + server.URL
	c, err := connectortest.Definition(connectortest.Options{MaxBatch: 10}).
		Open(connectortest.Config("crm", settings), connectors.Env{Client: http.DefaultClient})
	if err != nil {
		panic(err)
	}
	text := []connectors.Record{{Key: "main/msg_1", Body: "hello", Message: sms.Message{ID: "msg_1"}}}

	crm.SetFaults(func(f *connectortest.Faults) { f.LoseEvery = 1 }) // writes, then hangs up
	lost := c.PutMessages(context.Background(), text)[0]
	crm.SetFaults(func(f *connectortest.Faults) { f.LoseEvery = 0 })
	again := c.PutMessages(context.Background(), text)[0]

	fmt.Println(lost.State, lost.Err.Kind, lost.Err.Ambiguous)
	fmt.Println(again.State, len(crm.Messages()), len(crm.Doubles()), crm.Requests()["put"])
	// Output:
	// failed UNAVAILABLE true
	// existed 1 0 2
}
