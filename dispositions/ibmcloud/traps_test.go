package ibmcloud_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stanch/dispositions"
	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

// The tests below are named after the traps of IBM's wire and SDK that they keep shut.

// Trap: with a dead credential of our own, the SDK's lookup fails with status 400 just as a lookup of an unknown key
// may. It must never be taken for "unknown key".
func TestTrapFailOpen(t *testing.T) {
	for _, switches := range ibmfake.Combinations() {
		for _, op := range []string{"delete", "disable"} {
			f := start(t, switches)
			_, secret := f.AddKey(ibmfake.Key{})
			f.Act(op, f.ownID)
			for _, s := range []leak.Secret{secret, leak.NewSecret("not-a-key-of-anybody")} {
				_, err := f.issuer.Locate(context.Background(), s)
				if !errors.Is(err, leak.ErrCredential) || errors.Is(err, leak.ErrNotFound) {
					t.Errorf("%+v, our key after %s: error %v, want our own credential refused", switches, op, err)
				}
			}
		}
	}
}

// The same, when our token outlives our key: what "400, API key not found" is about is then established by asking for
// our own key.
func TestTrapFailOpenWithLiveToken(t *testing.T) {
	f := start(t, ibmfake.Switches{Unknown: 400})
	_, secret := f.AddKey(ibmfake.Key{})
	f.mustLocate(t, secret)
	unknown := leak.NewSecret("not-a-key-of-anybody")
	if _, err := f.issuer.Locate(context.Background(), unknown); !errors.Is(err, leak.ErrNotFound) {
		t.Errorf("our key alive: error %v, want not found", err)
	}
	f.Act("delete", f.ownID)
	if _, err := f.issuer.Locate(context.Background(), unknown); !errors.Is(err, leak.ErrCredential) {
		t.Errorf("our key deleted, its token alive: error %v, want our own credential refused", err)
	}
}

// Whether our own key is known can itself stay open; then so does whether the leaked one is.
func TestTrapFailOpenUnestablished(t *testing.T) {
	f := start(t, ibmfake.Switches{Unknown: 400})
	_, secret := f.AddKey(ibmfake.Key{})
	f.mustLocate(t, secret)
	f.AddFault(ibmfake.Fault{Path: "/v1/apikeys/details", Skip: 1, Status: 500})
	_, err := f.issuer.Locate(context.Background(), leak.NewSecret("not-a-key-of-anybody"))
	if err == nil || errors.Is(err, leak.ErrNotFound) || errors.Is(err, leak.ErrCredential) {
		t.Errorf("error %v, want unresolved", err)
	}
}

// Trap: a redirect forwards the leaked key to another host.
func TestTrapRedirectForwardsSecret(t *testing.T) {
	var visits int
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits++ }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, path := range []string{"/identity/token", "/v1/apikeys/details"} {
			f := start(t, ibmfake.Switches{})
			_, secret := f.AddKey(ibmfake.Key{})
			f.AddFault(ibmfake.Fault{
				Path: path, Status: status, Times: ibmfake.Forever, Header: map[string]string{"Location": elsewhere.URL},
			})
			if _, err := f.issuer.Locate(context.Background(), secret); err == nil {
				t.Errorf("a %d of %s is taken for success", status, path)
			}
		}
	}
	if visits != 0 {
		t.Errorf("%d requests went to another host", visits)
	}
}

// Trap: a token error echoes the key that was sent.
func TestTrapTokenErrorEchoesKey(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	f.Act("delete", f.ownID)
	_, err := f.issuer.Read(context.Background(), named("ApiKey-00000000-0000-0000-0000-000000000000"))
	if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), f.own.Reveal()) {
		t.Errorf("error %T does not fail, or shows our key", err)
	}
	if !strings.Contains(err.Error(), "400 BXNIM0415E") {
		t.Errorf("error %q does not show status and message code", err)
	}
}

// A message code that is none may hold anything.
func TestTrapMessageCodeEchoesKey(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	_, secret := f.AddKey(ibmfake.Key{})
	f.mustLocate(t, secret)
	f.AddFault(ibmfake.Fault{
		Path: "/v1/apikeys/details", Status: 409, ContentType: "application/json",
		Body: `{"errors":[{"code":"x","message_code":"` + secret.Reveal() + `"}]}`,
	})
	_, err := f.issuer.Locate(context.Background(), secret)
	if err == nil || strings.Contains(err.Error(), secret.Reveal()) {
		t.Error("the error is missing, or shows the secret")
	}
}

// Trap: an answer may hold the key's value in clear.
func TestTrapPlaintextIsNotKept(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	id, secret := f.AddKey(ibmfake.Key{IAMID: "iam-ServiceId-x", StoreValue: true})
	for _, key := range []leak.Key{f.mustLocate(t, secret), f.mustRead(t, id)} {
		if strings.Contains(fmt.Sprintf("%#v", key), secret.Reveal()) {
			t.Error("the key shows its value")
		}
	}
}

// Trap: the SDK panics on an error answer with an empty list of errors, when asked for its message.
func TestTrapEmptyErrorsPanic(t *testing.T) {
	for _, body := range []string{
		`{"errors":[]}`, `{"errors":[null]}`, `{"errors":["x"]}`, `{"errors":{}}`, `{"errors":null}`, `[]`, `null`, `"x"`,
		`{"errors":[{"code":"not_found"},{"code":"not_found"}]}`, `{"errorCode":7}`, `{`,
	} {
		for _, status := range []int{400, 404, 409, 500} {
			f := start(t, ibmfake.Switches{})
			_, secret := f.AddKey(ibmfake.Key{})
			f.AddFault(ibmfake.Fault{
				Path: "/v1/apikeys/details", Skip: 1, Status: status, ContentType: "application/json", Body: body,
			})
			if _, err := f.issuer.Locate(context.Background(), secret); err == nil || meansSomething(err) {
				t.Errorf("%d %s: error %v, want unresolved", status, body, err)
			}
		}
	}
}

func meansSomething(err error) bool {
	for _, meaning := range []error{leak.ErrNotFound, leak.ErrNotVisible, leak.ErrLocked, leak.ErrCredential} {
		if errors.Is(err, meaning) {
			return true
		}
	}
	return false
}

// Trap: the SDK's retries repeat what must not be repeated, and wait as long as they are told.
func TestTrapNoRetries(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	id, secret := f.AddKey(ibmfake.Key{})
	f.mustLocate(t, secret)
	f.AddFault(ibmfake.Fault{Method: "DELETE", Status: 500, Commit: true})
	if err := f.issuer.Delete(context.Background(), named(id)); err == nil || meansSomething(err) {
		t.Errorf("error %v, want unresolved", err)
	}
	if n := f.Count("delete", id); n != 1 {
		t.Errorf("asked %d times to delete, want once", n)
	}
	if _, err := f.issuer.Read(context.Background(), named(id)); !errors.Is(err, leak.ErrNotFound) {
		t.Errorf("the delete was committed behind a 500, and reading says %v", err)
	}
}

// Trap: an integer Retry-After is not capped.
func TestTrapRetryAfter(t *testing.T) {
	for wish, want := range map[string]time.Duration{
		"": 0, "0": 0, "-5": 0, "30": 30 * time.Second, "86400000": time.Hour, "9223372036854775807": time.Hour,
		"99999999999999999999": 0, "soon": 0, "1.5": 0, "Mon, 01 Jan 2001 00:00:00 GMT": 0,
		"Fri, 01 Jan 2100 00:00:00 GMT": time.Hour,
	} {
		f := start(t, ibmfake.Switches{})
		_, secret := f.AddKey(ibmfake.Key{})
		f.AddFault(ibmfake.Fault{Status: 429, Header: map[string]string{"Retry-After": wish}})
		_, err := f.issuer.Locate(context.Background(), secret)
		var throttled *leak.Throttled
		if !errors.As(err, &throttled) || throttled.After != want {
			t.Errorf("Retry-After %q: error %#v, want to wait %v", wish, err, want)
		}
	}
}

// Trap: the SDK's token fetch ignores the context.
func TestTrapTokenFetchIgnoresContext(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	_, secret := f.AddKey(ibmfake.Key{})
	f.AddFault(ibmfake.Fault{Path: "/identity/token", Delay: time.Hour})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	// The fake holds the token back for an hour: that Locate returns at all is the test.
	if _, err := f.issuer.Locate(ctx, secret); !errors.Is(err, context.DeadlineExceeded) || meansSomething(err) {
		t.Errorf("error %v, want the deadline exceeded", err)
	}
}

// Trap: an empty lookup value is still sent.
func TestTrapEmptyLookup(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	_, secret := f.AddKey(ibmfake.Key{})
	f.mustLocate(t, secret)
	before := f.Requests()["GET /v1/apikeys/details"]
	for _, s := range []string{"", " ", "\t", "\r\n", secret.Reveal() + " ", secret.Reveal() + "\n", "a\x00b"} {
		if _, err := f.issuer.Locate(context.Background(), leak.NewSecret(s)); err == nil || meansSomething(err) {
			t.Errorf("%q: error %v, want a refusal", s, err)
		}
	}
	if after := f.Requests()["GET /v1/apikeys/details"]; after != before {
		t.Errorf("%d lookups were sent", after-before)
	}
}

// Trap: acting on the key that we run on, or on another of the same identity.
func TestTrapOwnKey(t *testing.T) {
	for _, iamID := range []string{ownIAMID, strings.TrimPrefix(ownIAMID, "iam-")} {
		f := start(t, ibmfake.Switches{})
		sister, secret := f.AddKey(ibmfake.Key{IAMID: iamID})
		for id, key := range map[string]leak.Key{
			f.ownID: f.mustLocate(t, f.own), sister: f.mustLocate(t, secret),
		} {
			if !key.Own || !f.mustRead(t, id).Own {
				t.Errorf("%+v is not known as our own", key)
			}
		}
		for _, id := range []string{f.ownID, sister, "ApiKey-" + strings.ToUpper(f.ownID[len("ApiKey-"):])} {
			for name, do := range f.writes() {
				if err := do(context.Background(), id); err == nil || meansSomething(err) {
					t.Errorf("%s of our own key: error %v, want a refusal", name, err)
				}
			}
		}
		if journal := f.Journal(); len(journal) != 0 {
			t.Errorf("IAM was asked to change our own keys: %+v", journal)
		}
	}
}

// As long as we do not know which key is ours, none is handed out and none is changed.
func TestTrapOwnKeyUnknown(t *testing.T) {
	for _, body := range []string{`{}`, `{"id":"..","iam_id":"x"}`, `{"id":"ApiKey-00000000-0000-0000-0000-000000000000"}`} {
		f := start(t, ibmfake.Switches{})
		id, secret := f.AddKey(ibmfake.Key{})
		f.AddFault(ibmfake.Fault{
			Path: "/v1/apikeys/details", Times: ibmfake.Forever, Status: 200, ContentType: "application/json", Body: body,
		})
		if _, err := f.issuer.Locate(context.Background(), secret); err == nil || meansSomething(err) {
			t.Errorf("Locate: error %v, want unresolved", err)
		}
		if _, err := f.issuer.Read(context.Background(), named(id)); err == nil || meansSomething(err) {
			t.Errorf("Read: error %v, want unresolved", err)
		}
		for name, do := range f.writes() {
			if err := do(context.Background(), id); err == nil || meansSomething(err) {
				t.Errorf("%s: error %v, want unresolved", name, err)
			}
		}
		if journal := f.Journal(); len(journal) != 0 {
			t.Errorf("IAM was asked to change keys: %+v", journal)
		}
		f.ClearFaults()
		f.mustLocate(t, secret)
	}
}

// writes are all changes by name.
func (f *iam) writes() map[string]func(context.Context, string) error {
	by := func(write func(context.Context, dispositions.Target) error) func(context.Context, string) error {
		return func(ctx context.Context, id string) error { return write(ctx, named(id)) }
	}
	return map[string]func(context.Context, string) error{
		"Disable": by(f.issuer.Disable), "Delete": by(f.issuer.Delete), "Enable": by(f.issuer.Enable),
		"Lock": by(f.issuer.Lock), "Unlock": by(f.issuer.Unlock),
	}
}

// That IAM does not find our own key says nothing about the leaked one.
func TestTrapOwnKeyNotFound(t *testing.T) {
	for status, body := range map[int]string{
		404: `{"errors":[{"code":"not_found","message_code":"BXNIM0102E"}]}`, 400: `{"errorCode":"BXNIM0415E"}`,
	} {
		f := start(t, ibmfake.Switches{})
		_, secret := f.AddKey(ibmfake.Key{})
		f.AddFault(ibmfake.Fault{
			Path: "/v1/apikeys/details", Status: status, ContentType: "application/json", Body: body,
		})
		_, err := f.issuer.Locate(context.Background(), secret)
		if !errors.Is(err, leak.ErrCredential) || errors.Is(err, leak.ErrNotFound) {
			t.Errorf("%d: error %v, want our own credential refused", status, err)
		}
		f.mustLocate(t, secret)
	}
}
