package receiver_test

import (
	"strings"
	"testing"
	"time"

	"stanch/receiver"
	"stanch/receiver/batch"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// TestReread reads records again: what can be read now becomes sealed alerts, received when the record was.
func TestReread(t *testing.T) {
	h := newHouse(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	names := batch.Fields{Token: "token", Type: "type", URL: "url"}
	reread := func(record string) (queue.Message, error) {
		content, err := names.Reread(leak.NewSecret(record))
		if err != nil {
			return queue.Message{}, err
		}
		return receiver.AlertMessage(h.seal, "gh", at, content)
	}
	for _, row := range []struct{ name, record, problem string }{
		{"good", record(planted), ""},
		{"no token", `{"token":"","type":"` + planted + `"}`, "the record has no token"},
		{"no object", `"` + planted + `"`, "the record is not an object"},
		{"cut", `{"token":"` + planted, "not in the source's format"},
		{"nothing", "", "it holds no alert"},
		{"too long", record(strings.Repeat(planted, 10_000)), "longer than an alert can be"},
	} {
		message, err := reread(row.record)
		if row.problem != "" {
			if err == nil || !strings.Contains(err.Error(), row.problem) || strings.Contains(err.Error(), planted) || message.Data != nil {
				t.Errorf("%s: got %d bytes, %v", row.name, len(message.Data), err)
			}
			continue
		}
		if err != nil || message.Subject != queue.AlertSubject("gh") {
			t.Fatalf("%s: got a message on %q, %v", row.name, message.Subject, err)
		}
		if strings.Contains(string(message.Data), planted) || !strings.Contains(string(message.Data), "2026-01-02T03:04:05Z") {
			t.Errorf("%s: got %s", row.name, message.Data)
		}
		if c := h.alert(t, message); c.Secret.Reveal() != planted {
			t.Errorf("%s: another secret is sealed", row.name)
		}
	}
	h.wantStored(t, 0, 0)
}
