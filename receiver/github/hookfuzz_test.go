package github_test

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"stanch/receiver"
	"stanch/receiver/feedfake"
	"stanch/receiver/sourcetest"
)

// goodRef is the form of a pointer's ref and event.
var goodRef = regexp.MustCompile(`^acme/[a-z0-9._-]{1,100}/[1-9][0-9]{0,18} (created|reopened|validated|publicly_leaked|location|)$`)

// FuzzHookParse looks for a body that makes a pointer to anything but an alert of the organisation, and for one that means
// something else as a form.
func FuzzHookParse(f *testing.F) {
	for _, name := range []string{"created", "reopened", "resolved", "location"} {
		f.Add("secret_scanning_alert", []byte(sourcetest.Encode(f, readHook(f, name))))
	}
	for _, body := range badHooks {
		f.Add("secret_scanning_alert", []byte(body))
	}
	for _, body := range ignoredHooks {
		f.Add("ping", body)
	}
	for _, body := range notHooks {
		f.Add("", body[:min(len(body), 1000)])
	}
	source := openHook(f, "Acme", hookSecret)
	f.Fuzz(func(t *testing.T, named string, body []byte) {
		got := became(source, named, string(body))
		p, isPointer := strings.CutPrefix(got, "pointer ")
		isFormat := !strings.HasPrefix(got, receiver.ErrFormat.Error())
		if isPointer && (!goodRef.MatchString(p) || strings.Contains(p, "/./") || strings.Contains(p, "/../")) {
			t.Errorf("got %s, want an alert of the organisation", got)
		}
		if !isPointer && isFormat && got != "ignored" && got != "bad" {
			t.Errorf("got %s", got)
		}
		if !isFormat || !strings.HasPrefix(strings.TrimLeft(string(body), " \t\r\n"), "{") {
			return
		}
		if form := became(source, named, "x=y&payload="+url.QueryEscape(string(body))); form != got {
			t.Errorf("got %s, and of the same as a form %s", got, form)
		}
	})
}

// FuzzHookVerify looks for a wrong signature that is accepted.
func FuzzHookVerify(f *testing.F) {
	good := feedfake.GitHubHook(hookSecret, []byte("{}")).Get("X-Hub-Signature-256")
	f.Add(good, []byte("{}"))
	f.Add(strings.ToUpper(good), []byte("{}"))
	f.Add(good+"00", []byte("{}"))
	f.Add("sha256=", []byte{})
	source := openHook(f, "acme", "another secret of a hook", hookSecret)
	f.Fuzz(func(t *testing.T, signature string, body []byte) {
		header := http.Header{"X-Hub-Signature-256": {signature}}
		err := source.Verify(t.Context(), header, body)
		if admitted := source.Admit(header); admitted != nil && err == nil {
			t.Errorf("verified what was not admitted: %v", admitted)
		}
		if err != nil && !errors.Is(err, receiver.ErrUnverified) {
			t.Errorf("got %v, want ErrUnverified", err)
		}
		for _, secret := range []string{hookSecret, "another secret of a hook"} {
			if want := feedfake.GitHubHook(secret, body).Get("X-Hub-Signature-256"); strings.EqualFold(signature, want) {
				return
			}
		}
		if err == nil {
			t.Error("verified what nobody signed")
		}
	})
}
