package receiver_test

import (
	"strings"
	"testing"
	"time"

	"stanch/receiver"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// TestReread reads records again: what can be read now becomes sealed alerts, received when the record was.
func TestReread(t *testing.T) {
	h := newHouse(t)
	names := receiver.Fields{Token: "token", Type: "type", URL: "url"}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, row := range []struct{ name, record, problem string }{
		{"good", record(planted), ""},
		{"no token", `{"token":"","type":"` + planted + `"}`, "the record has no token"},
		{"no object", `"` + planted + `"`, "the record is no object"},
		{"cut", `{"token":"` + planted, "not in the source's format"},
		{"nothing", "", "it holds no alert"},
		{"too long", record(strings.Repeat(planted, 10_000)), "longer than an alert can be"},
	} {
		messages, err := receiver.Reread(t.Context(), h.seal, names, "gh", at, leak.NewSecret(row.record))
		if row.problem != "" {
			if err == nil || !strings.Contains(err.Error(), row.problem) || strings.Contains(err.Error(), planted) || messages != nil {
				t.Errorf("%s: got %d messages, %v", row.name, len(messages), err)
			}
			continue
		}
		if err != nil || len(messages) != 1 || messages[0].Subject != queue.AlertSubject("gh") {
			t.Fatalf("%s: got %d messages, %v", row.name, len(messages), err)
		}
		if strings.Contains(string(messages[0].Data), planted) || !strings.Contains(string(messages[0].Data), "2026-01-02T03:04:05Z") {
			t.Errorf("%s: got %s", row.name, messages[0].Data)
		}
		if c := h.alert(t, messages[0]); c.Secret.Reveal() != planted {
			t.Errorf("%s: another secret is sealed", row.name)
		}
	}
	h.wantStored(t, 0, 0)
}
