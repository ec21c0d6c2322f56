package gitlab_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"stanch/receiver"
	"stanch/receiver/feedfake"
	"stanch/receiver/gitlab/gitlabapi"
	"stanch/receiver/sourcetest"
)

// FuzzRevocationParse compares with encoding/json, which says what is an array and how many elements it has.
func FuzzRevocationParse(f *testing.F) {
	f.Add(array(`{"type":"t","token":"a","location":"l"}`, `{"token":"b"}`))
	for _, record := range badRecords("location") {
		f.Add(array(record, `{"token":"good"}`))
	}
	for _, body := range notFormat {
		f.Add(body[:min(len(body), 1000)])
	}
	source := openRevocation(f, revocationToken)
	f.Fuzz(func(t *testing.T, body []byte) {
		var elements []json.RawMessage
		isArray := json.Unmarshal(body, &elements) == nil && elements != nil
		parsed, err := source.Parse(http.Header{}, body)
		if errors.Is(err, receiver.ErrTooMany) {
			return
		}
		if isArray != (err == nil) || err != nil && !errors.Is(err, receiver.ErrFormat) {
			t.Fatalf("got %v for a body that is an array: %t", err, isArray)
		}
		if got := len(parsed.Found) + len(parsed.Bad); got != len(elements) {
			t.Errorf("got %d records, want %d", got, len(elements))
		}
	})
}

// goodRef is the form of a pointer's ref and event.
var goodRef = regexp.MustCompile(`^acme(/[a-z0-9._-]{1,255})+/-/(vulnerabilities/[1-9][0-9]{0,18} ` +
	`(detected|confirmed|dismissed|resolved|changed)( by [1-9][0-9]{0,18})?|jobs/[1-9][0-9]{0,18} (success|failed))$`)

// FuzzHookParse looks for a body that makes a pointer out of the group.
func FuzzHookParse(f *testing.F) {
	for _, name := range []string{"detected", "confirmed", "dependency", "job", "old-job"} {
		f.Add([]byte(sourcetest.Encode(f, readHook(f, name))))
	}
	for _, body := range badHooks {
		f.Add([]byte(body))
	}
	for _, body := range ignoredHooks {
		f.Add(body)
	}
	for _, body := range notHooks {
		f.Add(body[:min(len(body), 1000)])
	}
	source := openHook(f, "Acme", signingToken)
	f.Fuzz(func(t *testing.T, body []byte) {
		got := became(source, "", string(body))
		p, isPointer := strings.CutPrefix(got, "pointer ")
		isObject := json.Valid(body) && strings.HasPrefix(strings.TrimLeft(string(body), " \t\r\n"), "{")
		switch {
		case !isObject && !strings.HasPrefix(got, receiver.ErrFormat.Error()):
			t.Errorf("got %s of what is no object", got)
		case isPointer && (!goodRef.MatchString(p) || strings.Contains(p, "/../") || strings.Contains(p, "/./")):
			t.Errorf("got %s, want something of the group", got)
		case isObject && !isPointer && got != "ignored" && got != "bad":
			t.Errorf("got %s", got)
		}
		if isPointer {
			ref, _, _ := strings.Cut(p, " ")
			if again, err := gitlabapi.ParseRef(ref); err != nil || again.String() != ref {
				t.Errorf("got the ref %s, which reads as %q and %v", ref, again, err)
			}
		}
	})
}

// FuzzHookVerify looks for a header that is accepted although nobody signed it.
func FuzzHookVerify(f *testing.F) {
	now := time.Now()
	good := func(id, body string) string {
		return feedfake.StandardWebhook(signingToken, id, now, []byte(body)).Get("Webhook-Signature")
	}
	f.Add("id", good("id", "{}"), []byte("{}"))
	f.Add("id", "v1, "+good("id", "{}")+" v2,a", []byte("{}"))
	f.Add("id.1", good("id.1", "{}"), []byte("{}"))
	f.Add("id", good("id.1", "{}"), []byte("1.{}"))
	f.Add("", "v1,", []byte{})
	source := openHook(f, "acme", otherToken, signingToken)
	f.Fuzz(func(t *testing.T, id, signature string, body []byte) {
		at := time.Now()
		header := feedfake.StandardWebhook(signingToken, id, at, body)
		want := header.Get("Webhook-Signature")
		header.Set("Webhook-Signature", signature)
		err := source.Verify(t.Context(), header, body)
		if admitted := source.Admit(header); admitted != nil && err == nil {
			t.Errorf("verified what was not admitted: %v", admitted)
		}
		if err != nil && !errors.Is(err, receiver.ErrUnverified) {
			t.Errorf("got %v, want ErrUnverified", err)
		}
		other := feedfake.StandardWebhook(otherToken, id, at, body).Get("Webhook-Signature")
		if err == nil && !strings.Contains(signature, want) && !strings.Contains(signature, other) {
			t.Error("verified what nobody signed")
		}
	})
}
