package leak_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"stanch/receiver/leak"
)

// TestRead: what a newer program has added is passed over, what it has changed is left to it, what is damaged is told.
func TestRead(t *testing.T) {
	for _, row := range []struct {
		data string
		want error
	}{
		{`{"v":1,"id":"a","source":"gh"}`, nil},
		{`{"v":1,"id":"a","source":"gh","novelty":{"deep":[1,2]},"another":null}`, nil},
		{`{"v":2,"id":"a","source":"gh"}`, leak.ErrNewer},
		{`{"v":2,"id":{"an":"object now"},"source":["gh"]}`, leak.ErrNewer},
		{`{"id":"a","source":"gh"}`, nil},
		{`{"v":1,"id":{"planted":1}}`, leak.ErrDamaged},
		{`{"v":1,"id":"planted`, leak.ErrDamaged},
		{``, leak.ErrDamaged},
		{`null`, nil},
	} {
		got, err := leak.Read[leak.Alert]([]byte(row.data))
		if !errors.Is(err, row.want) || err != nil && strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: got %v, want %v", row.data, err, row.want)
		}
		if err != nil && got.ID != "" {
			t.Errorf("%s: got %+v beside an error", row.data, got)
		}
		if err == nil && strings.Contains(row.data, `"a"`) && (got.ID != "a" || got.Source != "gh") {
			t.Errorf("%s: got %+v", row.data, got)
		}
	}
}

// TestOldReadsNew adds a field to every message that a newer program may write, at its top and within, and reads it.
func TestOldReadsNew(t *testing.T) {
	newer := func(message any) []byte {
		data, err := json.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		return []byte(strings.ReplaceAll(string(data), "{", `{"novelty":[{}],`))
	}
	alert := leak.Alert{V: leak.Version, ID: "a", Report: &leak.Report{Ref: "r"}}
	if got, err := leak.Read[leak.Alert](newer(alert)); err != nil || got.ID != "a" || got.Report.Ref != "r" {
		t.Errorf("alert: got %+v, %v", got, err)
	}
	if got, err := leak.Read[leak.Pointer](newer(leak.Pointer{V: leak.Version, Ref: "r"})); err != nil || got.Ref != "r" {
		t.Errorf("pointer: got %+v, %v", got, err)
	}
	letter := leak.DeadLetter{V: leak.Version, Reason: "x", Alert: alert}
	if got, err := leak.Read[leak.DeadLetter](newer(letter)); err != nil || got.Alert.ID != "a" {
		t.Errorf("dead letter: got %+v, %v", got, err)
	}
	entry := leak.Entry{V: leak.Version, ID: "e", Steps: []leak.Step{{Step: leak.Seen}}, Incident: leak.Incident{ID: "i"}}
	if got, err := leak.Read[leak.Entry](newer(entry)); err != nil || got.Incident.ID != "i" || got.Steps[0].Step != leak.Seen {
		t.Errorf("entry: got %+v, %v", got, err)
	}
}
