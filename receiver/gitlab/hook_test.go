package gitlab_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stanch/receiver"
	"stanch/receiver/feedfake"
	"stanch/receiver/gitlab"
	"stanch/receiver/leak"
	"stanch/receiver/sourcetest"
)

// Signing tokens as GitLab has them: of 32 bytes.
var (
	signingToken = "whsec_" + base64.StdEncoding.EncodeToString([]byte("a signing key of 32 bytes, okay?"))
	otherToken   = "whsec_" + base64.StdEncoding.EncodeToString([]byte("another signing key of 32 bytes!"))
)

const secretToken = "a secret token in plain text"

func TestHookConformance(t *testing.T) {
	h := hookHarness()
	h.Source = openHook(t, "acme", otherToken, signingToken)
	h.Sign = func(body []byte) http.Header { return feedfake.GitLabHook(signingToken, body) }
	h.Proof = []string{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"}
	h.Forged = forgedHooks
	sourcetest.Run(t, h)
}

// TestPlainHookConformance is about an older GitLab, whose deliveries hold the token.
func TestPlainHookConformance(t *testing.T) {
	token := strings.ReplaceAll(secretToken, " ", "-")
	bring := func(tokens ...string) func([]byte) http.Header {
		return func([]byte) http.Header { return http.Header{"X-Gitlab-Token": tokens} }
	}
	h := hookHarness()
	config := gitlab.HookConfig{Group: "acme", SecretTokenFiles: writeFiles(t, "another", token+"\n")}
	h.Source = openConfig(t, &config)
	h.Sign, h.Proof, h.SenderOnly = bring(token), []string{"X-Gitlab-Token"}, true
	h.Forged = map[string]func([]byte) http.Header{
		"another token": bring(planted),
		"empty":         bring(""),
		"two":           bring(token, token),
		"shorter":       bring(token[1:]),
		"signed only":   func(body []byte) http.Header { return feedfake.GitLabHook(signingToken, body) },
	}
	sourcetest.Run(t, h)
}

// hookHarness describes what hooks deliver, whatever their proof is.
func hookHarness() sourcetest.Harness {
	return sourcetest.Harness{
		Single:    true,
		Body:      func(records ...string) []byte { return []byte(records[0]) },
		Found:     hookProjects,
		Record:    func(token string) string { return vulnerability("detected", "acme/"+token, "7") },
		Extended:  extended,
		Bad:       badHooks,
		NotFormat: notHooks,
		Ignored:   ignoredHooks,
	}
}

// vulnerability writes a small event of secret detection.
func vulnerability(state, project, number string) string {
	const form = `{"object_kind":"vulnerability","object_attributes":{"state":%q,"report_type":"secret_detection",` +
		`"url":"https://gitlab.com/%s/-/security/vulnerabilities/%s"}}`
	return fmt.Sprintf(form, state, project, number)
}

// extended has what GitLab may think of next, and a secret, which nobody may read.
func extended(token string) string {
	return ` {"new":[{"object_kind":"push"}],"object_kind":"vulnerability","raw_source_code_extract":"other",` +
		`"object_attributes":{"state":"detected","report_type":null,"id":8,"new":{"url":"x"},` +
		`"url":"https://another.example/Acme/` + token + `/-/security/vulnerabilities/7?tab=code#x"}}` + "\n"
}

// hookProjects tells the records of the suite apart.
func hookProjects(parsed receiver.Parsed) []string {
	var found []string
	for _, p := range parsed.Pointers {
		name := strings.TrimSuffix(strings.TrimPrefix(p.Ref, "acme/"), "/-/vulnerabilities/7")
		if p.Event == "detected" && p.Ref == "acme/"+name+"/-/vulnerabilities/7" {
			found = append(found, name)
		}
	}
	return found
}

// build writes a small event of a job.
func build(name, status, project string, number any) string {
	const form = `{"object_kind":"build","build_id":%v,"build_name":%q,"build_status":%q,"project":{"path_with_namespace":%q}}`
	return fmt.Sprintf(form, number, name, status, project)
}

var badHooks = map[string]string{
	"no attributes":     `{"object_kind":"vulnerability","x":"planted-token-4f1c"}`,
	"attributes null":   `{"object_kind":"vulnerability","object_attributes":null,"x":"planted-token-4f1c"}`,
	"attributes a text": `{"object_kind":"vulnerability","object_attributes":"planted-token-4f1c"}`,
	"no address":        `{"object_kind":"vulnerability","object_attributes":{"title":"planted-token-4f1c"}}`,
	"address an object": `{"object_kind":"vulnerability","object_attributes":{"url":{"planted-token-4f1c":1}}}`,
	"another address":   `{"object_kind":"vulnerability","object_attributes":{"url":"https://gitlab.com/acme/planted-token-4f1c"}}`,
	"no URL":            `{"object_kind":"vulnerability","object_attributes":{"url":"https://gitlab.com/%zz/planted-token-4f1c"}}`,
	"no number":         vulnerability("detected", "acme/planted-token-4f1c", ""),
	"number zero":       vulnerability("detected", "acme/planted-token-4f1c", "0"),
	"number negative":   vulnerability("detected", "acme/planted-token-4f1c", "-7"),
	"number too large":  vulnerability("detected", "acme/planted-token-4f1c", "9223372036854775808"),
	"number and more":   vulnerability("detected", "acme/planted-token-4f1c", "7/edit"),
	"no project":        vulnerability("detected", "planted-token-4f1c", "7"),
	"an empty name":     vulnerability("detected", "acme//planted-token-4f1c", "7"),
	"climbs up":         vulnerability("detected", "acme/planted-token-4f1c/..", "7"),
	"climbs, escaped":   vulnerability("detected", "acme/planted-token-4f1c/%2e%2e", "7"),
	"a slash, escaped":  vulnerability("detected", "acme%2Fplanted-token-4f1c", "7"),
	"a dash":            vulnerability("detected", "acme/planted-token-4f1c/-", "7"),
	"another script":    vulnerability("detected", "acme/planted-token-4f1c-é", "7"),
	"too long":          vulnerability("detected", "acme/planted-token-4f1c"+strings.Repeat("/abcdefg", 100), "7"),
	"a job of nothing":  `{"object_kind":"build","build_name":"secret_detection","build_status":"success","x":"planted-token-4f1c"}`,
	"a job of no id":    build("secret_detection", "success", "acme/planted-token-4f1c", 0),
	"a job's odd id":    build("secret_detection", "success", "acme/planted-token-4f1c", `"7"`),
	"a job up there":    build("secret_detection", "success", "acme/../planted-token-4f1c", 7),
}

var notHooks = map[string][]byte{
	"nothing":           nil,
	"blanks":            []byte(" \r\n"),
	"null":              []byte("null"),
	"an array":          []byte("[" + vulnerability("detected", "acme/planted-token-4f1c", "7") + "]"),
	"a string":          []byte(`"planted-token-4f1c"`),
	"not closed":        []byte(`{"object_kind":"planted-token-4f1c"`),
	"text behind":       []byte(vulnerability("detected", "acme/planted-token-4f1c", "7") + "planted-token-4f1c"),
	"two objects":       []byte("{}" + vulnerability("detected", "acme/planted-token-4f1c", "7")),
	"a form":            []byte("payload=%7B%7D&x=planted-token-4f1c"),
	"a byte order mark": []byte("\ufeff{}"),
	"too deep":          []byte(`{"x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}"),
}

var ignoredHooks = map[string][]byte{
	"of no kind":           []byte(`{"x":"planted-token-4f1c"}`),
	"kind in another case": []byte(strings.Replace(vulnerability("detected", "acme/planted-token-4f1c", "7"), `"vuln`, `"Vuln`, 1)),
	"a push":               []byte(`{"object_kind":"push","project":{"path_with_namespace":"acme/planted-token-4f1c"}}`),
	"a pipeline":           []byte(`{"object_kind":"pipeline","builds":[{"id":7,"name":"secret_detection","status":"success"}]}`),
	"an issue":             []byte(`{"object_kind":"issue","object_attributes":{"state":"opened","title":"planted-token-4f1c"}}`),
	"of a system hook":     []byte(`{"event_name":"project_create","path":"planted-token-4f1c"}`),
	"another report": []byte(strings.Replace(vulnerability("detected", "acme/planted-token-4f1c", "7"),
		"secret_detection", "dependency_scanning", 1)),
	"another report, unusable": []byte(`{"object_kind":"vulnerability","object_attributes":{"report_type":"sast"}}`),
	"another group":            []byte(vulnerability("detected", "planted-token-4f1c/acme", "7")),
	"a group like ours":        []byte(vulnerability("detected", "acme-2/planted-token-4f1c", "7")),
	"another job":              []byte(build("test", "success", "acme/planted-token-4f1c", 7)),
	"a job like ours":          []byte(build("my_secret_detection", "success", "acme/planted-token-4f1c", 7)),
	"a job that runs":          []byte(build("secret_detection", "running", "acme/planted-token-4f1c", 7)),
	"a job that was cancelled": []byte(build("secret_detection", "canceled", "acme/planted-token-4f1c", 7)),
	"another group's job":      []byte(build("secret_detection", "success", "planted-token-4f1c/acme", 7)),
}

var forgedHooks = map[string]func([]byte) http.Header{
	"another token": func(body []byte) http.Header {
		return feedfake.GitLabHook("whsec_"+base64.StdEncoding.EncodeToString([]byte(planted)), body)
	},
	"of another body": func(body []byte) http.Header {
		return feedfake.GitLabHook(signingToken, append(bytes.Clone(body), ' '))
	},
	"plain": func([]byte) http.Header {
		return http.Header{"X-Gitlab-Token": {signingToken}, "Webhook-Id": {"a"}, "Webhook-Timestamp": {timestamp(0)}}
	},
	"too old":       func(body []byte) http.Header { return signedAt(body, -tolerance-time.Minute) },
	"too early":     func(body []byte) http.Header { return signedAt(body, tolerance+time.Minute) },
	"another id":    resigned("Webhook-Id", func(good string) []string { return []string{good + "x"} }),
	"an id too few": resigned("Webhook-Id", func(string) []string { return []string{""} }),
	"two ids":       resigned("Webhook-Id", func(good string) []string { return []string{good, good} }),
	"an id without end": func(body []byte) http.Header {
		return feedfake.StandardWebhook(signingToken, strings.Repeat("a", 257), time.Now(), body)
	},
	"an id with a dot": func(body []byte) http.Header {
		return feedfake.StandardWebhook(signingToken, "a.1", time.Now(), body)
	},
	"another time":    resigned("Webhook-Timestamp", func(string) []string { return []string{timestamp(-time.Minute)} }),
	"no time":         resigned("Webhook-Timestamp", func(string) []string { return []string{planted} }),
	"an endless time": resigned("Webhook-Timestamp", func(string) []string { return []string{strings.Repeat("9", 30)} }),
	"a time in parts": resigned("Webhook-Timestamp", func(good string) []string { return []string{good + ".5"} }),
	"two times":       resigned("Webhook-Timestamp", func(good string) []string { return []string{good, good} }),
	"two signatures":  resigned("Webhook-Signature", func(good string) []string { return []string{good, good} }),
	"empty":           resigned("Webhook-Signature", func(string) []string { return []string{""} }),
	"version alone":   resigned("Webhook-Signature", func(string) []string { return []string{"v1,"} }),
	"without version": resigned("Webhook-Signature", func(good string) []string { return []string{good[3:]} }),
	"version 2":       resigned("Webhook-Signature", func(good string) []string { return []string{"v2" + good[2:]} }),
	"in another case": resigned("Webhook-Signature", func(good string) []string { return []string{"V1" + good[2:]} }),
	"with commas":     resigned("Webhook-Signature", func(good string) []string { return []string{good + "," + good} }),
	"a byte short": resigned("Webhook-Signature", func(good string) []string {
		sum, _ := base64.StdEncoding.DecodeString(good[3:]) // our own encoding
		return []string{"v1," + base64.StdEncoding.EncodeToString(sum[:31])}
	}),
	"no padding": resigned("Webhook-Signature", func(good string) []string { return []string{strings.TrimRight(good, "=")} }),
}

const tolerance = 5 * time.Minute

// timestamp writes the time at this distance from now.
func timestamp(from time.Duration) string { return strconv.FormatInt(time.Now().Add(from).Unix(), 10) }

func signedAt(body []byte, from time.Duration) http.Header {
	return feedfake.StandardWebhook(signingToken, "id", time.Now().Add(from), body)
}

// resigned changes a field of a good header.
func resigned(field string, change func(good string) []string) func([]byte) http.Header {
	return func(body []byte) http.Header {
		header := feedfake.GitLabHook(signingToken, body)
		header[field] = change(header.Get(field))
		return header
	}
}

// The vector that the libraries of Standard Webhooks test themselves with.
const (
	vectorToken     = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	anotherVector   = "Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
)

var vectorTime = time.Unix(1614265330, 0)

// TestStandardWebhooksVectors takes the published vector at its own time, and at others.
func TestStandardWebhooksVectors(t *testing.T) {
	files := writeFiles(t, vectorToken)
	for name, row := range map[string]struct {
		from      time.Duration
		signature string
		want      error
	}{
		"as published":  {0, vectorSignature, nil},
		"in a crowd":    {0, "v1," + anotherVector + " v2," + anotherVector + " " + vectorSignature + " v1," + anotherVector, nil},
		"another":       {0, "v1," + anotherVector, receiver.ErrUnverified},
		"version alone": {0, "v1,", receiver.ErrUnverified},
		"empty":         {0, "", receiver.ErrUnverified},
		"as version 2":  {0, "v2" + vectorSignature[2:], receiver.ErrUnverified},
		"late":          {tolerance, vectorSignature, nil},
		"too late":      {tolerance + time.Second, vectorSignature, receiver.ErrUnverified},
		"early":         {-tolerance, vectorSignature, nil},
		"too early":     {-tolerance - time.Second, vectorSignature, receiver.ErrUnverified},
	} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(vectorTime.Add(row.from)))
			source := openConfig(t, &gitlab.HookConfig{Group: "acme", SigningTokenFiles: files})
			header := http.Header{}
			header.Set("webhook-id", vectorID)
			header.Set("webhook-timestamp", "1614265330")
			header.Set("webhook-signature", row.signature)
			err := source.Admit(header)
			if err == nil {
				err = source.Verify(t.Context(), header, []byte(vectorBody))
			}
			if !errors.Is(err, row.want) {
				t.Errorf("%s: got %v, want %v", name, err, row.want)
			}
		})
	}
	header := feedfake.StandardWebhook(vectorToken, vectorID, vectorTime, []byte(vectorBody))
	if got := header.Get("Webhook-Signature"); got != vectorSignature {
		t.Errorf("the suite signs with %s, want %s", got, vectorSignature)
	}
}

// TestHookRotation: during a rotation both tokens are accepted, in either order; afterwards only the new one.
func TestHookRotation(t *testing.T) {
	body := []byte("{}")
	for _, row := range []struct {
		tokens   []string
		old, new error
	}{
		{[]string{signingToken}, nil, receiver.ErrUnverified},
		{[]string{signingToken, otherToken}, nil, nil},
		{[]string{otherToken, signingToken}, nil, nil},
		{[]string{otherToken, otherToken}, receiver.ErrUnverified, nil},
		{[]string{otherToken}, receiver.ErrUnverified, nil},
	} {
		source := openHook(t, "acme", row.tokens...)
		if err := source.Verify(t.Context(), feedfake.GitLabHook(signingToken, body), body); !errors.Is(err, row.old) {
			t.Errorf("%d tokens: got %v for the old one, want %v", len(row.tokens), err, row.old)
		}
		if err := source.Verify(t.Context(), feedfake.GitLabHook(otherToken, body), body); !errors.Is(err, row.new) {
			t.Errorf("%d tokens: got %v for the new one, want %v", len(row.tokens), err, row.new)
		}
	}
}

// TestHookUnsigned: beside a signing token the secret token proves nothing.
func TestHookUnsigned(t *testing.T) {
	config := gitlab.HookConfig{
		Group: "acme", SigningTokenFiles: writeFiles(t, signingToken), SecretTokenFiles: writeFiles(t, "legacy"),
	}
	source := openConfig(t, &config)
	legacy := http.Header{"X-Gitlab-Token": {"legacy"}}
	if err := source.Admit(legacy); !errors.Is(err, receiver.ErrUnverified) {
		t.Errorf("got %v for an unsigned delivery with the secret token, want ErrUnverified", err)
	}
	signed := feedfake.GitLabHook(signingToken, []byte("{}"))
	if err := source.Verify(t.Context(), signed, []byte("{}")); err != nil {
		t.Errorf("got %v for a signed delivery without the secret token, want nil", err)
	}
}

// TestHookExamine: doctor says how deliveries are proved, and whether a better proof is possible.
func TestHookExamine(t *testing.T) {
	signing, secret := writeFiles(t, signingToken, otherToken), writeFiles(t, "legacy")
	for name, row := range map[string]struct {
		config gitlab.HookConfig
		want   []leak.Result
	}{
		"signed": {gitlab.HookConfig{SigningTokenFiles: signing}, []leak.Result{leak.Good}},
		"both":   {gitlab.HookConfig{SigningTokenFiles: signing, SecretTokenFiles: secret}, []leak.Result{leak.Good, leak.Doubt}},
		"plain":  {gitlab.HookConfig{SecretTokenFiles: secret}, []leak.Result{leak.Doubt}},
	} {
		var got []leak.Result
		for _, f := range openConfig(t, &row.config).(receiver.Examiner).Examine(t.Context()) {
			got = append(got, f.Result)
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: got %v, want %v", name, got, row.want)
		}
	}
}

// TestHookReplay: a copy of an accepted delivery is refused for as long as its time is acceptable. A delivery that could not be
// stored may come again, and so may one that GitLab repeats with the same id and another time.
func TestHookReplay(t *testing.T) {
	files := writeFiles(t, signingToken)
	synctest.Test(t, func(t *testing.T) {
		source := openConfig(t, &gitlab.HookConfig{Group: "acme", SigningTokenFiles: files})
		body := []byte("{}")
		sign := func(id string, from time.Duration) http.Header {
			return feedfake.StandardWebhook(signingToken, id, time.Now().Add(from), body)
		}
		check := func(name string, header http.Header, want error) {
			t.Helper()
			if err := source.Verify(t.Context(), header, body); !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", name, err, want)
			}
		}
		remember := source.(receiver.Rememberer).Remember
		first := sign("first", 0)
		check("new", first, nil)
		check("again, because nobody stored it", first, nil)
		remember(first)
		check("a copy", first, receiver.ErrUnverified)
		check("another", sign("another", 0), nil)
		check("sent again", sign("first", time.Second), nil)

		ahead := sign("ahead", tolerance)
		remember(ahead)
		copies := 0
		for range 2*tolerance/time.Second - 1 {
			time.Sleep(time.Second)
			remember(sign(fmt.Sprint("other ", copies), 0))
			if err := source.Verify(t.Context(), ahead, body); errors.Is(err, receiver.ErrUnverified) {
				copies++
			}
		}
		if copies != 599 {
			t.Errorf("refused %d copies in the ten minutes that the time lets pass, want all 599", copies)
		}
	})
}

// TestHookReplayIsBounded: a flood of deliveries pushes out the oldest, not the newest.
func TestHookReplayIsBounded(t *testing.T) {
	source := openHook(t, "acme", signingToken)
	remember := source.(receiver.Rememberer).Remember
	body := []byte("{}")
	headers := make([]http.Header, 2*gitlab.MaxSeen+1)
	for i := range headers {
		headers[i] = feedfake.StandardWebhook(signingToken, fmt.Sprint(i), time.Now(), body)
		remember(headers[i])
	}
	for _, i := range []int{gitlab.MaxSeen, 2 * gitlab.MaxSeen} {
		if err := source.Verify(t.Context(), headers[i], body); !errors.Is(err, receiver.ErrUnverified) {
			t.Errorf("delivery %d: got %v for a copy, want ErrUnverified", i, err)
		}
	}
	if err := source.Verify(t.Context(), headers[0], body); err != nil {
		t.Errorf("got %v for the oldest, want nil: the memory is bounded", err)
	}
}

// openHook makes a source for the signed hooks of a group.
func openHook(tb testing.TB, group string, tokens ...string) receiver.Source {
	tb.Helper()
	return openConfig(tb, &gitlab.HookConfig{Group: group, SigningTokenFiles: writeFiles(tb, tokens...)})
}

func openConfig(tb testing.TB, config *gitlab.HookConfig) receiver.Source {
	tb.Helper()
	source, err := config.Open("gl", nil, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return source
}
