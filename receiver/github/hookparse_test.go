package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"testing"

	"stanch/receiver"
	"stanch/receiver/leak"
	"stanch/receiver/sourcetest"
)

// TestHookActions: the body decides what becomes of an event, whatever the unsigned header calls it.
func TestHookActions(t *testing.T) {
	source := openHook(t, "ACME", hookSecret)
	for _, row := range []struct{ file, action, want string }{
		{"created", "created", "pointer acme/rocket-shop/7 created"},
		{"created", "validated", "pointer acme/rocket-shop/7 validated"},
		{"created", "publicly_leaked", "pointer acme/rocket-shop/7 publicly_leaked"},
		{"created", "assigned", "ignored"},
		{"created", "unassigned", "ignored"},
		{"reopened", "reopened", "pointer acme/rocket-shop/7 reopened"},
		{"resolved", "resolved", "ignored"},
		{"resolved", "revoked", "ignored"},
		{"location", "created", "pointer acme/rocket-shop/7 location"},
		{"location", "resolved", "ignored"},
	} {
		event := readHook(t, row.file)
		event["action"] = row.action
		for _, named := range []string{
			"secret_scanning_alert", "secret_scanning_alert_location", "secret_scanning_scan", "ping", "dependabot_alert", "",
		} {
			for name, body := range map[string]string{"JSON": sourcetest.Encode(t, event), "a form": "payload=" + url.QueryEscape(sourcetest.Encode(t, event))} {
				if got := became(source, named, body); got != row.want {
					t.Errorf("%s %s in %s, named %q: got %s, want %s", row.file, row.action, name, named, got, row.want)
				}
			}
		}
	}
}

// TestHookOtherEvents: other events than those of secret scanning are ignored, unless the header says they are some.
func TestHookOtherEvents(t *testing.T) {
	source := openHook(t, "acme", hookSecret)
	const repository = `"repository":{"full_name":"acme/rocket-shop"}`
	for _, row := range []struct{ named, body, want string }{
		{"ping", `{"zen":"Keep it simple","hook_id":1,"hook":{"type":"Organization","config":{"secret":"********"}}}`, "ignored"},
		{"secret_scanning_scan", `{"action":"completed","type":"backfill","source":"git","secret_types":["t"],` + repository + `}`, "ignored"},
		{"code_scanning_alert", `{"action":"created","alert":{"number":7,"rule":{"id":"r"},"tool":{}},` + repository + `}`, "ignored"},
		{"dependabot_alert", `{"action":"created","alert":{"number":7,"dependency":{}},` + repository + `}`, "ignored"},
		{"repository", `{"action":"created",` + repository + `}`, "ignored"},
		{"push", `{}`, "ignored"},
		{"", `{}`, "ignored"},
		{"secret_scanning_alert", `{}`, "bad"},
		{"secret_scanning_alert", `{"action":"created","alert":{"number":7},` + repository + `}`, "pointer acme/rocket-shop/7 created"},
		{"secret_scanning_alert_location", `{}`, "ignored"},
		{"secret_scanning_alert_location", `{"alert":{"number":7},` + repository + `}`, "pointer acme/rocket-shop/7 location"},
	} {
		if got := became(source, row.named, row.body); got != row.want {
			t.Errorf("%s %s: got %s, want %s", row.named, row.body, got, row.want)
		}
	}
}

// TestHookFieldByField removes each field of each payload, then gives it an odd value. The table says what becomes of the
// payload; fields outside the table make no difference. So neither a URL nor a secret is read.
func TestHookFieldByField(t *testing.T) {
	const pointer = "pointer acme/rocket-shop/7 "
	alert := func(intact, whatever string) map[string]string {
		return map[string]string{
			"": intact, "action": whatever,
			"alert": "bad", "alert.number": "bad",
			"repository": "bad", // full_name alone can be missing: the name and the owner's login say the same
		}
	}
	source := openHook(t, "acme", hookSecret)
	for _, row := range []struct {
		file, named string
		want        map[string]string // by field; with no name: the payload as it is
	}{
		{"created", "secret_scanning_alert", alert(pointer+"created", pointer)},
		{"reopened", "secret_scanning_alert", alert(pointer+"reopened", pointer)},
		{"resolved", "secret_scanning_alert", map[string]string{"": "ignored", "action": pointer}},
		{"location", "secret_scanning_alert_location", map[string]string{
			"": pointer + "location", "alert": "ignored", "alert.number": "ignored",
			"location":   pointer + "created",                          // what is left is an alert; only if it is missing, not if it is odd
			"repository": "ignored", "repository.full_name": "ignored", // its owner's login is another's
		}},
	} {
		event := readHook(t, row.file)
		if got := became(source, row.named, sourcetest.Encode(t, event)); got != row.want[""] {
			t.Errorf("%s: got %s, want %s", row.file, got, row.want[""])
		}
		for _, field := range sourcetest.Fields(event) {
			want, ok := row.want[field]
			if !ok {
				want = row.want[""]
			}
			if got := became(source, row.named, sourcetest.Encode(t, sourcetest.Without(event, field))); got != want {
				t.Errorf("%s without %s: got %s, want %s", row.file, field, got, want)
			}
			if field == "location" {
				want = row.want[""]
			}
			if got := became(source, row.named, sourcetest.Encode(t, sourcetest.With(event, field, map[string]any{"odd": []int{7}}))); got != want {
				t.Errorf("%s with an odd %s: got %s, want %s", row.file, field, got, want)
			}
		}
	}
}

// became says in short what becomes of a signed body.
func became(source receiver.Source, named, body string) string {
	parsed, err := source.Parse(http.Header{"X-Github-Event": {named}}, []byte(body))
	switch {
	case errors.Is(err, receiver.ErrIgnored):
		return "ignored"
	case err != nil:
		return err.Error()
	case len(parsed.Bad) == 1 && len(parsed.Found)+len(parsed.Pointers) == 0:
		return "bad"
	case len(parsed.Pointers) != 1 || len(parsed.Found)+len(parsed.Bad) != 0:
		return fmt.Sprintf("%d pointers, %d alerts, %d bad", len(parsed.Pointers), len(parsed.Found), len(parsed.Bad))
	}
	p := parsed.Pointers[0]
	if p != (leak.Pointer{Ref: p.Ref, Event: p.Event, By: p.By}) || p.By != "" && !login.MatchString(p.By) {
		return fmt.Sprintf("%+v", p)
	}
	return "pointer " + p.Ref + " " + p.Event
}

// login is what a user or an App of GitHub can be called.
var login = regexp.MustCompile(`^[A-Za-z0-9._-]+(\[bot\])?$`)

// TestHookSaysWhoDidIt: the sender tells our own changes from others'. A malformed login counts as nobody.
func TestHookSaysWhoDidIt(t *testing.T) {
	source := openHook(t, "acme", hookSecret)
	for sender, want := range map[any]string{"hubot": "hubot", "stanch[bot]": "stanch[bot]", "a b": "", "": "", 7: "", "x/../y": ""} {
		event := sourcetest.With(readHook(t, "reopened"), "sender.login", sender)
		parsed, err := source.Parse(http.Header{}, []byte(sourcetest.Encode(t, event)))
		if err != nil || len(parsed.Pointers) != 1 || parsed.Pointers[0].By != want {
			t.Errorf("%v: got %+v, %v; want %q", sender, parsed.Pointers, err, want)
		}
	}
	parsed, err := source.Parse(http.Header{}, []byte(sourcetest.Encode(t, readHook(t, "created"))))
	if err != nil || len(parsed.Pointers) != 1 || parsed.Pointers[0].By != "" {
		t.Errorf("got %+v, %v; want nobody: whoever leaks a key may be whose token we use", parsed.Pointers, err)
	}
}

// readHook reads a payload of testdata, which has the fields of one that GitHub sends, and values of ours.
func readHook(tb testing.TB, name string) map[string]any {
	tb.Helper()
	return sourcetest.ReadObject(tb, "testdata/hooks/"+name+".json")
}
