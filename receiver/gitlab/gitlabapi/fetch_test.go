package gitlabapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"stanch/receiver/collect"
	"stanch/receiver/gitlabfake"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// plantedToken is a secret that must appear only in a Content.
var plantedToken = leak.NewSecret("acme_planted_7f3a9c51d2")

// add adds a vulnerability of Acme/Shop with the planted secret, and returns its ref.
func (w *world) add(v gitlabfake.Vulnerability) string {
	v.Project, v.Secret = "Acme/Shop", plantedToken
	return ref(w.AddVulnerability(v))
}

func (w *world) mustFetch(t *testing.T, ref string) leak.Content {
	t.Helper()
	found, err := w.vendor.Fetch(t.Context(), ref)
	if err != nil || len(found) != 1 {
		t.Fatalf("Fetch: got %d contents and error %v, want one", len(found), err)
	}
	return found[0]
}

// silent fails the test if the log or a text shows a secret.
func (w *world) silent(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range append(texts, w.log.String()) {
		for _, value := range []string{plantedToken.Reveal(), w.token.Reveal(), "glpat-", "://", "DEBUG"} {
			if strings.Contains(text, value) {
				t.Errorf("%q is shown in %q", value, text)
			}
		}
	}
}

// operations are the calls that the fake got, in order.
func (w *world) operations() []gitlabfake.Operation {
	var asked []gitlabfake.Operation
	for _, e := range w.Journal() {
		asked = append(asked, e.Op)
	}
	return asked
}

func TestFetch(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{})
	id := w.add(gitlabfake.Vulnerability{Rule: "IBM Cloud IAM key", File: "a b/%41#?.env", Line: 12})
	got := w.mustFetch(t, id)
	if !got.Secret.Equal(plantedToken) {
		t.Error("the content does not hold the secret")
	}
	v, _ := w.Vulnerability(number(id))
	got.Secret = leak.Secret{}
	want := leak.Content{
		Type: "gitleaks_rule_id_ibm_cloud_iam_key", Place: "commit", Ref: id,
		URL: w.URL() + "/Acme/Shop/-/blob/" + v.Commit + "/a%20b/%2541%23%3F.env#L12",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if want := []gitlabfake.Operation{gitlabfake.GetVulnerability, gitlabfake.ConfirmVulnerability}; !slices.Equal(w.operations(), want) {
		t.Errorf("asked %v, want %v", w.operations(), want)
	}
	w.silent(t)
}

// TestFetchWhatever: whatever GitLab leaves out of the finding, the rest is enough while the file exists.
func TestFetchWhatever(t *testing.T) {
	for _, extract := range []string{"secret", "absent", "url"} {
		for _, raw := range []string{"present", "absent"} {
			for _, noCommit := range []bool{false, true} {
				w := newWorld(t, gitlabfake.Options{Switches: gitlabfake.Switches{
					Extract: extract, RawMetadata: raw, NoCommit: noCommit,
				}})
				id := w.add(gitlabfake.Vulnerability{File: "deploy/ü +%2e.env"})
				got := w.mustFetch(t, id)
				if !got.Secret.Equal(plantedToken) || got.Type != "gitleaks_rule_id_acme_api_key" {
					t.Errorf("extract %s, raw %s, no commit %v: got %+v without the secret", extract, raw, noCommit, got)
				}
				w.silent(t)
			}
		}
	}
}

// TestFetchFromReport: when the file is gone, the report of the pipeline is used.
func TestFetchFromReport(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{Switches: gitlabfake.Switches{RawMetadata: "absent"}})
	scanned := w.Scan(gitlabfake.Scan{Project: "Acme/Shop", Findings: []gitlabfake.Vulnerability{
		{Line: 3}, {Secret: plantedToken, Line: 7}, {Secret: leak.NewSecret("other_0123456789abcdef"), File: "other.env"},
	}})
	id := scanned.Vulnerabilities[1]
	v, _ := w.Vulnerability(id)
	w.Forget("Acme/Shop", v.Commit)
	if got := w.mustFetch(t, ref(id)); !got.Secret.Equal(plantedToken) {
		t.Error("the content does not hold the secret of the report")
	}
}

// TestFetchAmbiguousReport: two findings in one line cannot be told apart.
func TestFetchAmbiguousReport(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{Switches: gitlabfake.Switches{RawMetadata: "absent", NoCommit: true}})
	scanned := w.Scan(gitlabfake.Scan{Project: "Acme/Shop", Findings: []gitlabfake.Vulnerability{
		{Secret: plantedToken}, {Secret: leak.NewSecret("other_0123456789abcdef")},
	}})
	id := scanned.Vulnerabilities[0]
	v, _ := w.Vulnerability(id)
	w.Forget("Acme/Shop", v.Commit)
	if found, err := w.vendor.Fetch(t.Context(), ref(id)); !errors.Is(err, collect.ErrNoSecret) {
		t.Errorf("got %d contents and error %v, want ErrNoSecret", len(found), err)
	}
}

// TestFetchNoSecret: a line that holds no token, or several, is not passed on.
func TestFetchNoSecret(t *testing.T) {
	for name, line := range map[string]string{
		"several": "A=0123456789abcdef0123 B=acme_other_0123456789 # " + plantedToken.Reveal(), "none": "PASSWORD=hunter2", "empty": "",
		"cut key": "-----BEGIN RSA PRIVATE KEY-----",
	} {
		w := newWorld(t, gitlabfake.Options{Switches: gitlabfake.Switches{Extract: "absent"}})
		sha := w.Commit("Acme/Shop", map[string]string{"x": line + "\nDEBUG=false\n"})
		id := w.add(gitlabfake.Vulnerability{File: "x", Line: 1, Commit: sha})
		found, err := w.vendor.Fetch(t.Context(), id)
		if !errors.Is(err, collect.ErrNoSecret) {
			t.Errorf("%s: got %d contents and error %v, want ErrNoSecret", name, len(found), err)
			continue
		}
		w.silent(t, err.Error())
	}
}

// TestFetchPrivateKey: all lines of a key in PEM are the secret, or all keys would look the same.
func TestFetchPrivateKey(t *testing.T) {
	const key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabcd\n-----END RSA PRIVATE KEY-----"
	w := newWorld(t, gitlabfake.Options{Switches: gitlabfake.Switches{Extract: "absent"}})
	sha := w.Commit("Acme/Shop", map[string]string{"x": "first\n" + key + "\nlast\n"})
	if got := w.mustFetch(t, w.add(gitlabfake.Vulnerability{File: "x", Line: 2, Commit: sha})); got.Secret.Reveal() != key {
		t.Errorf("got %d bytes, want the whole key", len(got.Secret.Reveal()))
	}
}

// TestFetchForeign: the number of a vulnerability may lead anywhere, so the answer is checked.
func TestFetchForeign(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{})
	for name, row := range map[string]struct {
		v    gitlabfake.Vulnerability
		want error
	}{
		"another group":      {gitlabfake.Vulnerability{Project: "globex/shop"}, collect.ErrRefused},
		"begins like ours":   {gitlabfake.Vulnerability{Project: "acme-evil/shop"}, collect.ErrRefused},
		"no secret":          {gitlabfake.Vulnerability{Project: "acme/shop", ReportType: "sast"}, collect.ErrGone},
		"moved within group": {gitlabfake.Vulnerability{Project: "acme/sub/moved"}, nil},
	} {
		id := w.AddVulnerability(row.v)
		if found, err := w.vendor.Fetch(t.Context(), ref(id)); !errors.Is(err, row.want) || len(found) > 0 != (row.want == nil) {
			t.Errorf("%s: got %d contents and error %v, want %v", name, len(found), err, row.want)
		}
		if err := w.vendor.Resolve(t.Context(), ref(id), "dead"); !errors.Is(err, row.want) {
			t.Errorf("%s: got %v from Resolve, want %v", name, err, row.want)
		}
		if v, _ := w.Vulnerability(id); row.want != nil && v.State != gitlabfake.Detected {
			t.Errorf("%s: it is %s now", name, v.State)
		}
	}
}

// TestConfirm: a vulnerability that nobody has looked at is confirmed, and no other is changed.
func TestConfirm(t *testing.T) {
	for before, after := range map[gitlabfake.State]gitlabfake.State{
		gitlabfake.Detected: gitlabfake.Confirmed, gitlabfake.Confirmed: gitlabfake.Confirmed,
		gitlabfake.Resolved: gitlabfake.Resolved, gitlabfake.Dismissed: gitlabfake.Dismissed,
	} {
		w := newWorld(t, gitlabfake.Options{})
		id := w.add(gitlabfake.Vulnerability{State: before})
		w.mustFetch(t, id)
		w.mustFetch(t, id)
		v, _ := w.Vulnerability(number(id))
		asked := w.Count(gitlabfake.ConfirmVulnerability, "", 0)
		if v.State != after || asked > 1 || before == after && asked > 0 {
			t.Errorf("%s: is %s after %d calls, want %s", before, v.State, asked, after)
		}
	}
}

// TestConfirmRefused: containment does not wait for the confirmation.
func TestConfirmRefused(t *testing.T) {
	for name, fault := range map[string]gitlabfake.Fault{
		"403": {Status: 403, Body: `{"message":"403 Forbidden"}`}, "500": {Status: 500}, "cut": {Cut: true},
		"throttled": {Status: 429}, "already": {Status: 304}, "null": {Status: 201, Body: "null"},
	} {
		w := newWorld(t, gitlabfake.Options{})
		fault.Op = gitlabfake.ConfirmVulnerability
		w.AddFault(fault)
		w.mustFetch(t, w.add(gitlabfake.Vulnerability{}))
		if logged := strings.Contains(w.log.String(), "not confirmed"); logged != (name != "already") {
			t.Errorf("%s: logged: %v", name, logged)
		}
		w.silent(t)
	}
}

// TestCause: our change belongs to the chain of the pointer, and is not delivered to us.
func TestCause(t *testing.T) {
	const chain = "0f8fad5b-d9cb-469f-a165-70867728950e"
	w := newWorld(t, gitlabfake.Options{})
	if _, err := w.vendor.Fetch(collect.WithCause(t.Context(), chain), w.add(gitlabfake.Vulnerability{})); err != nil {
		t.Fatal(err)
	}
	for _, e := range w.Journal() {
		if want := e.Op == gitlabfake.ConfirmVulnerability; (e.Cause == chain) != want {
			t.Errorf("%s carries the chain %q, want it to: %v", e.Op, e.Cause, want)
		}
	}
}

// answer makes every call of an operation answer 200 with this body.
func (w *world) answer(op gitlabfake.Operation, body string) {
	w.AddFault(gitlabfake.Fault{Op: op, Times: vendorfake.Forever, Status: http.StatusOK, Body: body})
}

// TestFetchOddAnswers: an answer about something else, or one that cannot be read, is an error.
func TestFetchOddAnswers(t *testing.T) {
	const good = `{"id":1,"state":"detected","report_type":"secret_detection","project":{"id":2,"path_with_namespace":"acme/shop"}`
	for _, body := range []string{
		"", "null", "[]", "{}", good, `{"id":2` + good[len(`{"id":1`):] + "}", good + `} {}`,
		`{"id":1,"report_type":"secret_detection","project":{"path_with_namespace":"../acme"}}`,
		`{"id":"1","report_type":"secret_detection"}`,
	} {
		w := newWorld(t, gitlabfake.Options{})
		w.answer(gitlabfake.GetVulnerability, body)
		_, err := w.vendor.Fetch(t.Context(), ref(1))
		if err == nil || errors.Is(err, collect.ErrGone) || errors.Is(err, collect.ErrRefused) {
			t.Errorf("%s: got %v, want an unresolved error", body, err)
		}
	}
}

// TestFetchOddFiles: another file, or one that is cut, is an error.
func TestFetchOddFiles(t *testing.T) {
	const token = "QUNNRV9LRVk9YWNtZV9wbGFudGVkXzdmM2E5YzUxZDI=" // ACME_KEY= and the planted token, in base64
	for name, body := range map[string]string{
		"another": `{"file_path":"y","size":32,"content":"` + token + `"}`, "cut": `{"file_path":"x","size":33,"content":"` + token + `"}`,
		"no base64": `{"file_path":"x","size":3,"content":"***"}`, "page": plainPage, "null": "null",
	} {
		w := newWorld(t, gitlabfake.Options{Switches: gitlabfake.Switches{Extract: "absent"}})
		id := w.add(gitlabfake.Vulnerability{File: "x", Line: 1})
		w.answer(gitlabfake.GetFile, body)
		_, err := w.vendor.Fetch(t.Context(), id)
		if err == nil || errors.Is(err, collect.ErrNoSecret) {
			t.Errorf("%s: got %v, want an unresolved error", name, err)
			continue
		}
		w.silent(t, err.Error())
	}
}
