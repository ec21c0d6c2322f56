package gitlabfake_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xanzy/go-gitlab"

	"stanch/receiver/gitlabfake"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// get asks without go-gitlab, which slows itself down when it is told a limit.
func get(t *testing.T, server *gitlabfake.Server, token leak.Secret, path string) (*http.Response, string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL()+"/api/v4/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("PRIVATE-TOKEN", token.Reveal())
	response, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(request)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	return response, string(data), err
}

func TestRateLimit(t *testing.T) {
	var clock clock
	server, _ := start(t, gitlabfake.Options{RateLimit: 2, Now: clock.now})
	ann, again := server.AddToken(gitlabfake.Token{Login: "ann"}), server.AddToken(gitlabfake.Token{Login: "ann"})
	for i, token := range []leak.Secret{ann, again} {
		response, _, err := get(t, server, token, "user")
		if err != nil || response.StatusCode != 200 || response.Header.Get("RateLimit-Remaining") != strconv.Itoa(1-i) ||
			response.Header.Get("RateLimit-Limit") != "2" || response.Header.Get("Retry-After") != "" {
			t.Fatalf("request %d: %v, %v", i, response, err)
		}
	}
	response, body, err := get(t, server, ann, "user")
	if err != nil || response.StatusCode != 429 || body != "Retry later\n" || response.Header.Get("Content-Type") != "text/plain" {
		t.Fatalf("got %v, %q, %v", response, body, err)
	}
	wait, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	if reset, _ := strconv.ParseInt(response.Header.Get("RateLimit-Reset"), 10, 64); wait < 1 || wait > 60 || reset < clock.now().Unix() {
		t.Errorf("got Retry-After %d and the reset %d", wait, reset)
	}
	if response, _, _ := get(t, server, server.AddToken(gitlabfake.Token{Login: "ben"}), "user"); response.StatusCode != 200 {
		t.Errorf("another user: answer %d", response.StatusCode)
	}
	server.SetSwitches(gitlabfake.Switches{QuietLimits: true})
	clock.advance(time.Minute)
	if response, _, _ := get(t, server, ann, "user"); response.StatusCode != 200 || response.Header.Get("RateLimit-Limit") != "" {
		t.Errorf("a minute later: answer %d, header %v", response.StatusCode, response.Header)
	}
	server.ResetLimits()
	if response, _, _ := get(t, server, ann, "user"); response.StatusCode != 200 {
		t.Errorf("a new minute: answer %d", response.StatusCode)
	}
}

func TestPages(t *testing.T) {
	server, c := start(t, gitlabfake.Options{})
	for range 5 {
		server.Scan(gitlabfake.Scan{})
		server.AddVulnerability(gitlabfake.Vulnerability{})
	}
	seen := map[int]bool{}
	options := &gitlab.ListProjectVulnerabilitiesOptions{ListOptions: gitlab.ListOptions{PerPage: 2}}
	for options.Page = 1; options.Page != 0; {
		part, response, err := c.ProjectVulnerabilities.ListProjectVulnerabilities("acme/shop", options)
		expect(t, "page", response, err, 200)
		for _, v := range part {
			seen[v.ID] = true
		}
		if response.TotalItems != 5 || response.TotalPages != 3 || response.CurrentPage != options.Page {
			t.Errorf("got %d items, %d pages, page %d", response.TotalItems, response.TotalPages, response.CurrentPage)
		}
		options.Page = response.NextPage
	}
	if len(seen) != 5 {
		t.Errorf("got %d vulnerabilities, want 5", len(seen))
	}
	keyset := &gitlab.ListJobsOptions{ListOptions: gitlab.ListOptions{PerPage: 2, Pagination: "keyset", OrderBy: "id"}}
	clear(seen)
	for next := []gitlab.RequestOptionFunc(nil); ; {
		part, response, err := c.Jobs.ListProjectJobs("acme/shop", keyset, next...)
		expect(t, "keyset", response, err, 200)
		for _, job := range part {
			seen[job.ID] = true
		}
		if response.TotalItems != 0 {
			t.Errorf("keyset: got a total of %d", response.TotalItems)
		}
		if response.NextLink == "" {
			break
		}
		server.Scan(gitlabfake.Scan{}) // a new one moves nothing
		next = []gitlab.RequestOptionFunc{gitlab.WithKeysetPaginationParameters(response.NextLink)}
	}
	if len(seen) != 5 {
		t.Errorf("keyset: got %d jobs, want 5", len(seen))
	}
	response, err := do(t, c, http.MethodGet, "projects/acme%2Fshop/jobs?pagination=keyset&cursor=x", nil, nil)
	expect(t, "bad cursor", response, err, 400)
	response, err = do(t, c, http.MethodGet, "projects/acme%2Fshop/jobs?scope[]=failed", nil, nil)
	expect(t, "scope", response, err, 200)
	if response.TotalItems != 0 {
		t.Errorf("got %d failed jobs", response.TotalItems)
	}
}

func TestFaults(t *testing.T) {
	server, c := start(t, gitlabfake.Options{})
	token := server.AddToken(gitlabfake.Token{})
	id, other := server.AddVulnerability(gitlabfake.Vulnerability{}), server.AddVulnerability(gitlabfake.Vulnerability{})
	path := vulnerabilityPath(id)
	server.AddFault(gitlabfake.Fault{Op: gitlabfake.GetVulnerability, Number: id, Skip: 1, Times: 2, Status: 503})
	for i, want := range []int{200, 503, 503, 200} {
		if response, _, err := get(t, server, token, path); err != nil || response.StatusCode != want {
			t.Errorf("call %d: %v, want %d", i, response, want)
		}
	}
	server.AddFault(gitlabfake.Fault{Op: gitlabfake.ResolveVulnerability, Status: 500, Commit: true})
	response, err := do(t, c, http.MethodPost, path+"/resolve", nil, nil)
	expect(t, "committed", response, err, 500)
	if must(server.Vulnerability(id)).State != gitlabfake.Resolved || must(server.Vulnerability(other)).State != gitlabfake.Detected {
		t.Error("the call had no effect, or one too many")
	}
	server.AddFault(gitlabfake.Fault{Cut: true})
	if _, err := do(t, c, http.MethodPost, path+"/confirm", nil, nil); err == nil { // net/http would repeat a GET
		t.Error("a cut connection answered")
	}
	server.AddFault(gitlabfake.Fault{Truncate: true})
	if _, body, _ := get(t, server, token, path); json.Valid([]byte(body)) {
		t.Errorf("got all of the body %q", body)
	}
	server.AddFault(vendorfake.BadGateway())
	server.AddFault(vendorfake.SignIn())
	server.AddFault(vendorfake.Redirect(302, "https://elsewhere.example/"))
	for i, want := range []int{502, 200, 302} {
		response, body, err := get(t, server, token, path)
		if err != nil || response.StatusCode != want || json.Valid([]byte(body)) != (want == 302) {
			t.Errorf("page %d: got %v, %q", i, response, body)
		}
	}
	until := make(chan struct{})
	server.AddFault(gitlabfake.Fault{Target: "acme/shop", Until: until, Delay: time.Millisecond})
	answered := make(chan error, 1)
	go func() {
		_, _, err := c.Projects.GetProject("acme/shop", nil)
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Errorf("answered before it could: %v", err)
	default:
	}
	close(until)
	if err := <-answered; err != nil {
		t.Errorf("got %v", err)
	}
	server.AddFault(gitlabfake.Fault{Op: gitlabfake.MutateResolve, Times: vendorfake.Forever, Status: 500})
	server.ClearFaults()
	server.ClearJournal()
	if _, got := ask(t, server, token, resolving, map[string]any{"id": "gid://gitlab/Vulnerability/1"}); len(got.Errors) != 1 || len(server.Journal()) != 1 {
		t.Errorf("got %v", got)
	}
}

// A fault reaches GraphQL by the operation's name and the vulnerability's number.
func TestFaultOfAMutation(t *testing.T) {
	server, _ := start(t, gitlabfake.Options{})
	token := server.AddToken(gitlabfake.Token{})
	id := server.AddVulnerability(gitlabfake.Vulnerability{})
	server.AddFault(gitlabfake.Fault{
		Op: gitlabfake.MutateResolve, Number: id, Status: 500, Commit: true, Body: "{}", Times: vendorfake.Forever,
	})
	for _, gid := range []string{"gid://gitlab/Vulnerability/1", "gid://gitlab/Vulnerability/" + strconv.FormatInt(id, 10)} {
		status, _ := ask(t, server, token, resolving, map[string]any{"id": gid})
		if (status == 500) != strings.HasSuffix(gid, strconv.FormatInt(id, 10)) {
			t.Errorf("%s: answer %d", gid, status)
		}
	}
	if must(server.Vulnerability(id)).State != gitlabfake.Resolved {
		t.Error("the mutation had no effect")
	}
}

// go-gitlab repeats a POST after 5xx unless its retries are switched off.
func TestGoGitLabRetriesPosts(t *testing.T) {
	server, _ := start(t, gitlabfake.Options{})
	id := server.AddVulnerability(gitlabfake.Vulnerability{})
	//nolint:staticcheck // go-gitlab has moved on to another name; this is its last release under the one that is used here
	c, err := gitlab.NewClient(server.AddToken(gitlabfake.Token{}).Reveal(), gitlab.WithBaseURL(server.URL()),
		gitlab.WithCustomBackoff(func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return 0 }))
	if err != nil {
		t.Fatal(err)
	}
	server.AddFault(gitlabfake.Fault{Op: gitlabfake.ResolveVulnerability, Status: 500, Times: 2, Commit: true})
	response, err := do(t, c, http.MethodPost, vulnerabilityPath(id)+"/resolve", nil, nil)
	expect(t, "resolve", response, err, 304)
	if n := server.Count(gitlabfake.ResolveVulnerability, "", id); n != 3 {
		t.Errorf("got %d calls, want 3", n)
	}
	if errors.Is(err, io.EOF) {
		t.Error("a 304 into nothing is an error")
	}
}

func TestPositions(t *testing.T) {
	positions := gitlabfake.Positions()
	seen := map[gitlabfake.Switches]bool{}
	for _, s := range positions {
		seen[s] = true
		if s.Drop || s.Extract == "" {
			t.Errorf("got the position %+v", s)
		}
	}
	if len(seen) != len(positions) || len(positions) != 12 {
		t.Errorf("got %d positions, %d of them different, want 12", len(positions), len(seen))
	}
	server, _ := start(t, gitlabfake.Options{})
	server.SetSwitches(gitlabfake.Switches{Extract: "url", RawMetadata: "absent"})
	if got := server.Switches(); got.Extract != "url" || got.Again != "accepted" {
		t.Errorf("got the switches %+v", got)
	}
}

// What the extract is, in REST and in the report.
func TestExtracts(t *testing.T) {
	secret := leak.NewSecret("acme_0123456789")
	for _, row := range []struct {
		switches gitlabfake.Switches
		extract  string // JSON; empty: none
		raw      bool
	}{
		{gitlabfake.Switches{}, `"` + secret.Reveal() + `"`, true},
		{gitlabfake.Switches{Extract: "absent"}, ``, true},
		{gitlabfake.Switches{Extract: "url"}, `"https://deploy:` + secret.Reveal() + `@api.acme.example/v1?x=1"`, true},
		{gitlabfake.Switches{RawMetadata: "absent"}, `"` + secret.Reveal() + `"`, false},
	} {
		server, c := start(t, gitlabfake.Options{Switches: row.switches})
		done := server.Scan(gitlabfake.Scan{Findings: []gitlabfake.Vulnerability{{Secret: secret}}})
		data, response, err := c.Jobs.DownloadSingleArtifactsFile("acme/shop", int(done.Job), "gl-secret-detection-report.json")
		expect(t, "report", response, err, 200)
		var report struct{ Vulnerabilities []map[string]json.RawMessage }
		if err := json.NewDecoder(data).Decode(&report); err != nil {
			t.Fatal(err)
		}
		if got := string(report.Vulnerabilities[0]["raw_source_code_extract"]); got != row.extract {
			t.Errorf("%+v: got the extract %s, want %s", row.switches, got, row.extract)
		}
		var v vulnerability
		response, err = do(t, c, http.MethodGet, vulnerabilityPath(done.Vulnerabilities[0]), nil, &v)
		expect(t, "vulnerability", response, err, 200)
		if (v.Finding.RawMetadata != "") != row.raw || row.raw && strings.Contains(v.Finding.RawMetadata, secret.Reveal()) != (row.extract != "") {
			t.Errorf("%+v: got raw_metadata %q", row.switches, v.Finding.RawMetadata)
		}
	}
}
