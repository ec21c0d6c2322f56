package gitlab_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"stanch/receiver"
	"stanch/receiver/gitlab"
	"stanch/receiver/gitlab/gitlabclient"
	"stanch/receiver/leak"
	"stanch/receiver/sourcetest"
)

const (
	aVulnerability = "acme/platform/rocket-shop/-/vulnerabilities/4711"
	aJob           = "acme/platform/rocket-shop/-/jobs/1977"
)

// TestHookEvents: the body decides what becomes of a payload, whatever the unsigned header calls it.
func TestHookEvents(t *testing.T) {
	source := openHook(t, "ACME", signingToken)
	for _, row := range []struct{ file, field, value, want string }{
		{"detected", "object_attributes.state", "detected", "pointer " + aVulnerability + " detected"},
		{"detected", "object_attributes.state", "confirmed", "pointer " + aVulnerability + " confirmed"},
		{"detected", "object_attributes.state", "dismissed", "pointer " + aVulnerability + " dismissed"},
		{"detected", "object_attributes.state", "resolved", "pointer " + aVulnerability + " resolved"},
		{"detected", "object_attributes.state", "planted-token-4f1c", "pointer " + aVulnerability + " changed"},
		{"detected", "object_attributes.report_type", "secret_detection", "pointer " + aVulnerability + " detected"},
		{"detected", "object_attributes.report_type", "sast", "ignored"},
		{"confirmed", "object_attributes.state", "confirmed", "pointer " + aVulnerability + " confirmed by 1"},
		{"confirmed", "object_attributes.state", "resolved", "pointer " + aVulnerability + " resolved by 3"},
		{"confirmed", "object_attributes.state", "dismissed", "pointer " + aVulnerability + " dismissed"},
		{"confirmed", "object_attributes.state", "detected", "pointer " + aVulnerability + " detected"},
		{"dependency", "object_kind", "vulnerability", "ignored"},
		{"job", "build_status", "success", "pointer " + aJob + " success"},
		{"job", "build_status", "failed", "pointer " + aJob + " failed"},
		{"job", "build_status", "created", "ignored"},
		{"job", "build_status", "running", "ignored"},
		{"job", "build_status", "canceled", "ignored"},
		{"job", "build_name", "secret_detection_default_branch", "pointer " + aJob + " success"},
		{"job", "build_name", "secret_detection: [a]", "pointer " + aJob + " success"},
		{"job", "build_name", "test", "ignored"},
		{"job", "object_kind", "push", "ignored"},
		{"old-job", "build_status", "success", "pointer " + aJob + " success"},
	} {
		event := sourcetest.With(readHook(t, row.file), row.field, row.value)
		for _, named := range []string{"Vulnerability Hook", "Job Hook", "Push Hook", "System Hook", ""} {
			if got := became(source, named, sourcetest.Encode(t, event)); got != row.want {
				t.Errorf("%s with %s %s, named %q: got %s, want %s", row.file, row.field, row.value, named, got, row.want)
			}
		}
	}
}

// TestHookFieldByField removes each field of each payload, then gives it an odd value. The table says what becomes of the
// payload; fields outside the table make no difference. So neither a secret nor a host is read.
func TestHookFieldByField(t *testing.T) {
	source := openHook(t, "acme", signingToken)
	for _, row := range []struct {
		file string
		want map[string]string // by field; with no name: the payload as it is
	}{
		{"detected", map[string]string{
			"": "pointer " + aVulnerability + " detected", "object_kind": "ignored",
			"object_attributes": "bad", "object_attributes.url": "bad",
			"object_attributes.state": "pointer " + aVulnerability + " changed",
		}},
		{"confirmed", map[string]string{
			"": "pointer " + aVulnerability + " confirmed by 1", "object_kind": "ignored",
			"object_attributes": "bad", "object_attributes.url": "bad",
			"object_attributes.state":           "pointer " + aVulnerability + " changed",
			"object_attributes.confirmed_by_id": "pointer " + aVulnerability + " confirmed",
		}},
		{"dependency", map[string]string{
			"": "ignored", "object_attributes": "bad",
			"object_attributes.report_type": "pointer acme/platform/rocket-shop/-/vulnerabilities/1 confirmed by 1",
		}},
		{"job", map[string]string{
			"": "pointer " + aJob + " success", "object_kind": "ignored", "build_id": "bad",
			"build_name": "ignored", "build_status": "ignored", // its repository says as much as its project
		}},
		{"old-job", map[string]string{
			"": "pointer " + aJob + " success", "object_kind": "ignored", "build_id": "bad",
			"build_name": "ignored", "build_status": "ignored", "repository": "bad", "repository.homepage": "bad",
		}},
	} {
		event := readHook(t, row.file)
		for _, field := range append([]string{""}, sourcetest.Fields(event)...) {
			want, ok := row.want[field]
			if !ok {
				want = row.want[""]
			}
			changed := map[string]map[string]any{"as it is": event}
			if field != "" {
				changed = map[string]map[string]any{
					"without": sourcetest.Without(event, field),
					"odd":     sourcetest.With(event, field, map[string]any{"odd": []int{7}}),
				}
			}
			for how, event := range changed {
				if got := became(source, "", sourcetest.Encode(t, event)); got != want {
					t.Errorf("%s, %s %s: got %s, want %s", row.file, field, how, got, want)
				}
			}
		}
	}
}

// TestHookConfined: only projects below the group make pointers, whatever host an address names and whatever path the instance
// has on its host.
func TestHookConfined(t *testing.T) {
	const path = "/-/security/vulnerabilities/7"
	for _, row := range []struct{ group, api, address, want string }{
		{"acme", "", "https://gitlab.com/acme/shop" + path, "pointer acme/shop/-/vulnerabilities/7 changed"},
		{"acme", "", "https://elsewhere.example:8443/Acme/Platform/Shop" + path, "pointer acme/platform/shop/-/vulnerabilities/7 changed"},
		{"acme", "", "/acme/shop" + path, "pointer acme/shop/-/vulnerabilities/7 changed"},
		{"acme/Platform", "", "https://gitlab.com/acme/platform/shop" + path, "pointer acme/platform/shop/-/vulnerabilities/7 changed"},
		{"acme/platform", "", "https://gitlab.com/acme/platform" + path, "ignored"},
		{"acme/platform", "", "https://gitlab.com/acme/shop" + path, "ignored"},
		{"acme/platform", "", "https://gitlab.com/acme/platform2/shop" + path, "ignored"},
		{"acme", "", "https://gitlab.com/x/acme/shop" + path, "ignored"},
		{"acme", "https://example.com/gitlab/api/v4/", "https://example.com/gitlab/acme/shop" + path, "pointer acme/shop/-/vulnerabilities/7 changed"},
		{"acme", "https://example.com/gitlab/", "https://example.com/gitlab/acme/shop" + path, "pointer acme/shop/-/vulnerabilities/7 changed"},
		{"acme", "https://example.com/gitlab", "https://example.com/acme/shop" + path, "bad"},
		{"acme", "https://example.com/api/v4", "https://example.com/acme/shop" + path, "pointer acme/shop/-/vulnerabilities/7 changed"},
	} {
		source := openConfig(t, &gitlab.HookConfig{
			Group: row.group, SigningTokenFiles: writeFiles(t, signingToken), API: gitlabclient.Config{URL: row.api},
		})
		body := `{"object_kind":"vulnerability","object_attributes":{"url":"` + row.address + `"}}`
		if got := became(source, "", body); got != row.want {
			t.Errorf("%s of %s at %q: got %s, want %s", row.address, row.group, row.api, got, row.want)
		}
	}
}

// TestHookCause: a pointer keeps the chain that its delivery names, and nothing malformed in its place.
func TestHookCause(t *testing.T) {
	source := openHook(t, "acme", signingToken)
	const chain = "9cebe914-4827-408f-b014-cfa23a47a35f"
	for _, row := range []struct {
		values []string
		want   string
	}{
		{[]string{chain}, chain},
		{[]string{strings.ToUpper(chain)}, strings.ToUpper(chain)},
		{nil, ""},
		{[]string{""}, ""},
		{[]string{chain, chain}, ""},
		{[]string{chain + "0"}, ""},
		{[]string{planted}, ""},
	} {
		parsed, err := source.Parse(http.Header{"X-Gitlab-Event-Uuid": row.values}, []byte(vulnerability("detected", "acme/a", "7")))
		if err != nil || len(parsed.Pointers) != 1 || parsed.Pointers[0].Cause != row.want {
			t.Errorf("%q: got %+v and %v, want the cause %q", row.values, parsed.Pointers, err, row.want)
		}
	}
}

// became says in short what becomes of a signed body.
func became(source receiver.Source, named, body string) string {
	parsed, err := source.Parse(http.Header{"X-Gitlab-Event": {named}}, []byte(body))
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
	if p != (leak.Pointer{Ref: p.Ref, Event: p.Event, By: p.By}) {
		return fmt.Sprintf("%+v", p)
	}
	if p.By != "" {
		return "pointer " + p.Ref + " " + p.Event + " by " + p.By
	}
	return "pointer " + p.Ref + " " + p.Event
}

// readHook reads a payload of testdata, which has the fields of one that GitLab sends, and values of ours.
func readHook(tb testing.TB, name string) map[string]any {
	tb.Helper()
	return sourcetest.ReadObject(tb, "testdata/hooks/"+name+".json")
}
