//nolint:staticcheck // go-gitlab has moved on to another name; this is its last release under the one that is used here
package gitlabfake_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/xanzy/go-gitlab"

	"stanch/receiver/gitlabfake"
	"stanch/receiver/leak"
)

// start starts a fake with a token that may do everything, and go-gitlab on it.
func start(t *testing.T, o gitlabfake.Options) (*gitlabfake.Server, *gitlab.Client) {
	t.Helper()
	server, err := gitlabfake.Start(o)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(server.Close)
	return server, client(t, server, server.AddToken(gitlabfake.Token{Name: "ours"}))
}

func client(t *testing.T, server *gitlabfake.Server, token leak.Secret) *gitlab.Client {
	t.Helper()
	c, err := gitlab.NewClient(token.Reveal(), gitlab.WithBaseURL(server.URL()), gitlab.WithoutRetries())
	if err != nil {
		t.Fatalf("NewClient: %v", err)
	}
	return c
}

// expect fails the test unless a call was answered with a status and, below 400, without an error.
func expect(t *testing.T, what string, response *gitlab.Response, err error, status int) {
	t.Helper()
	if response == nil {
		t.Fatalf("%s: no answer: %v", what, err)
	}
	if response.StatusCode != status || (err == nil) != (status < 400) {
		t.Fatalf("%s: answer %d and error %v, want %d", what, response.StatusCode, err, status)
	}
}

// do sends a request for which go-gitlab has no method.
func do(t *testing.T, c *gitlab.Client, method, path string, body, into any) (*gitlab.Response, error) {
	t.Helper()
	path, query, _ := strings.Cut(path, "?")
	request, err := c.NewRequest(method, path, nil, nil)
	if err != nil {
		t.Fatalf("making a request: %v", err)
	}
	request.URL.RawQuery = query
	if body != nil {
		if err := request.SetBody(encode(t, body)); err != nil {
			t.Fatalf("making a request: %v", err)
		}
	}
	return c.Do(request, into)
}

// vulnerability is a vulnerability as REST answers it, with the fields that go-gitlab does not know.
type vulnerability struct {
	gitlab.ProjectVulnerability
	ConfirmedByID int `json:"confirmed_by_id"`
}

func TestLifeOfAVulnerability(t *testing.T) {
	server, c := start(t, gitlabfake.Options{})
	secret := leak.NewSecret("acme_0123456789")
	id := server.AddVulnerability(gitlabfake.Vulnerability{Project: "Acme/Shop", Secret: secret, Rule: "Acme key"})
	all, response, err := c.ProjectVulnerabilities.ListProjectVulnerabilities("acme/shop", nil)
	expect(t, "list", response, err, 200)
	if len(all) != 1 || int64(all[0].ID) != id || all[0].State != "detected" || all[0].ReportType != "secret_detection" {
		t.Fatalf("got the list %+v", all)
	}
	if e := server.Journal()[0]; e.Secrets != 1 || e.Op != gitlabfake.ListVulnerabilities || e.Status != 200 {
		t.Errorf("got the event %+v", e)
	}
	if !strings.Contains(all[0].Finding.RawMetadata, secret.Reveal()) || all[0].Project.PathWithNamespace != "Acme/Shop" {
		t.Errorf("got the finding %+v of %s", all[0].Finding, all[0].Project.PathWithNamespace)
	}
	for i, step := range []struct {
		verb   string
		status int
		state  gitlabfake.State
	}{
		{"confirm", 201, gitlabfake.Confirmed},
		{"confirm", 304, gitlabfake.Confirmed},
		{"resolve", 201, gitlabfake.Resolved},
		{"resolve", 304, gitlabfake.Resolved},
		{"dismiss", 201, gitlabfake.Dismissed},
		{"revert", 201, gitlabfake.Detected},
		{"revert", 304, gitlabfake.Detected},
	} {
		var got vulnerability
		response, err := do(t, c, http.MethodPost, vulnerabilityPath(id)+"/"+step.verb, map[string]any{"comment": step.verb + "ed"}, nil)
		expect(t, step.verb, response, err, step.status)
		response, err = do(t, c, http.MethodGet, vulnerabilityPath(id), nil, &got)
		expect(t, "get", response, err, 200)
		if got.State != string(step.state) || (got.ResolvedByID != 0) != (got.State == "resolved") ||
			(got.ConfirmedByID != 0) != (got.State == "confirmed") || (got.DismissedAt != nil) != (got.State == "dismissed") {
			t.Errorf("step %d: got the state %q, resolved by %d, dismissed at %v", i, got.State, got.ResolvedByID, got.DismissedAt)
		}
	}
	if v, _ := server.Vulnerability(id); v.Comment != "reverted" || v.Comments != 4 || v.By != gitlabfake.Admin {
		t.Errorf("got %d comments, the last %q by %q", v.Comments, v.Comment, v.By)
	}
	changes := slices.DeleteFunc(server.Journal(), func(e gitlabfake.Event) bool { return !e.Changed })
	if len(changes) != 4 || changes[0].Number != id || changes[0].By != "ours" {
		t.Errorf("got the changes %+v, want 4", changes)
	}
	server.Remove(id)
	response, err = do(t, c, http.MethodGet, vulnerabilityPath(id), nil, nil)
	expect(t, "get what is gone", response, err, 404)
}

// A 304 that is read into a struct is an error to go-gitlab, so whoever uses it must expect that.
func TestNotModifiedIntoAStruct(t *testing.T) {
	server, c := start(t, gitlabfake.Options{})
	id := server.AddVulnerability(gitlabfake.Vulnerability{State: gitlabfake.Resolved})
	var got vulnerability
	response, err := do(t, c, http.MethodPost, vulnerabilityPath(id)+"/resolve", nil, &got)
	if err == nil || response.StatusCode != http.StatusNotModified {
		t.Errorf("got the error %v", err)
	}
}

func TestFilesAtACommit(t *testing.T) {
	server, c := start(t, gitlabfake.Options{})
	secret := leak.NewSecret("acme_0123456789")
	id := server.AddVulnerability(gitlabfake.Vulnerability{Secret: secret, File: "conf/a b.env", Line: 3})
	v, _ := server.Vulnerability(id)
	server.Commit("acme/shop", map[string]string{"conf/a b.env": "", "README.md": "nothing"})
	raw := func(path, ref string) ([]byte, *gitlab.Response, error) {
		return c.RepositoryFiles.GetRawFile("acme/shop", path, &gitlab.GetRawFileOptions{Ref: &ref})
	}
	data, response, err := raw("conf/a b.env", v.Commit)
	expect(t, "raw", response, err, 200)
	if lines := strings.Split(string(data), "\n"); !strings.Contains(lines[2], secret.Reveal()) {
		t.Errorf("line 3 is %q", lines[2])
	}
	if e := server.Journal()[0]; e.Secrets != 1 || e.Op != gitlabfake.GetRawFile || e.Target != "acme/shop" {
		t.Errorf("got the event %+v", e)
	}
	_, response, err = raw("conf/a b.env", v.Commit[:8])
	expect(t, "short SHA", response, err, 200)
	_, response, err = raw("conf/a b.env", "main")
	expect(t, "removed since", response, err, 404)
	_, response, err = raw("README.md", "HEAD")
	expect(t, "head", response, err, 200)
	_, response, err = raw("README.md", "0000000")
	expect(t, "no such commit", response, err, 404)
	file, response, err := c.RepositoryFiles.GetFile("acme/shop", "conf/a b.env", &gitlab.GetFileOptions{Ref: &v.Commit})
	expect(t, "file", response, err, 200)
	if file.CommitID != v.Commit || file.FilePath != "conf/a b.env" || file.Encoding != "base64" {
		t.Errorf("got the file %+v", file)
	}
	server.Forget("acme/shop", v.Commit)
	_, response, err = raw("conf/a b.env", v.Commit)
	expect(t, "forgotten commit", response, err, 404)
}
