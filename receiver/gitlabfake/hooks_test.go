package gitlabfake_test

import (
	"archive/zip"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xanzy/go-gitlab"

	"stanch/receiver/gitlabfake"
	"stanch/receiver/leak"
)

// verify checks a delivery's signature without any library, and returns its id.
func verify(t *testing.T, r received, token leak.Secret) string {
	t.Helper()
	id, at := r.header.Get("webhook-id"), r.header.Get("webhook-timestamp")
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(token.Reveal(), "whsec_"))
	if err != nil || len(key) != 32 {
		t.Fatalf("the signing token has a key of %d bytes: %v", len(key), err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "." + string(r.body)))
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if got := strings.Fields(r.header.Get("webhook-signature")); !slices.Contains(got, want) {
		t.Errorf("got the signatures %q, want %q among them", got, want)
	}
	if seconds, err := strconv.ParseInt(at, 10, 64); err != nil || time.Since(time.Unix(seconds, 0)) > time.Hour {
		t.Errorf("got the timestamp %q", at)
	}
	return id
}

// The published vector of Standard Webhooks.
func TestSign(t *testing.T) {
	got := gitlabfake.Sign(leak.NewSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "msg_p5jXN8AQM9LWM0D4loKWxJek",
		time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Header is what the fake itself sends, for tests that send deliveries themselves.
func TestHeader(t *testing.T) {
	token, body := gitlabfake.NewSigningToken(), []byte(`{"object_kind":"vulnerability"}`)
	header := gitlabfake.Header(gitlabfake.VulnerabilityHooks, "an-id", time.Now(), token, body)
	if verify(t, received{header, body}, token) != "an-id" || header.Get("X-Gitlab-Event") != "Vulnerability Hook" {
		t.Errorf("got the header %v", header)
	}
	if plain := gitlabfake.Header(gitlabfake.JobHooks, "an-id", time.Now(), leak.Secret{}, body); plain.Get("webhook-signature") != "" {
		t.Errorf("got the header %v", plain)
	}
}

func TestDetect(t *testing.T) {
	server, _ := start(t, gitlabfake.Options{})
	r := newReceiver(t)
	signing, plain := gitlabfake.NewSigningToken(), leak.NewSecret("plain")
	server.AddHook(gitlabfake.Hook{URL: r.URL, SigningToken: signing})
	server.AddHook(gitlabfake.Hook{Project: "acme/pay/shop", URL: r.URL, Token: plain})
	server.AddHook(gitlabfake.Hook{Group: "acme/other", URL: r.URL})
	id := server.Detect(gitlabfake.Vulnerability{Project: "acme/pay/shop", Rule: "Acme key"})
	server.Detect(gitlabfake.Vulnerability{Project: "rival/shop"})
	got := r.take(server)
	if len(got) != 2 {
		t.Fatalf("got %d deliveries, want one of the project and one of the group", len(got))
	}
	project, group := got[0], got[1]
	if project.header.Get("X-Gitlab-Token") != plain.Reveal() || project.header.Get("webhook-signature") != "" {
		t.Errorf("got the header %v", project.header)
	}
	key := verify(t, group, signing)
	if group.header.Get("X-Gitlab-Token") != "" || group.header.Get("Idempotency-Key") != key ||
		group.header.Get("X-Gitlab-Event") != "Vulnerability Hook" || project.header.Get("webhook-id") == key {
		t.Errorf("got the header %v", group.header)
	}
	e, v := group.event(t), must(server.Vulnerability(id))
	url := fmt.Sprintf("https://gitlab.example/acme/pay/shop/-/security/vulnerabilities/%d", id)
	if e.Kind != "vulnerability" || e.Attributes.URL != url || e.Attributes.Location.Commit.SHA != v.Commit ||
		e.Attributes.Location.Line != 7 || e.Attributes.Identifiers[0].ID != "Acme key" || *e.Attributes.Scanner != "gitleaks" {
		t.Errorf("got the event %s", group.body)
	}
	if strings.Contains(string(group.body), v.Secret.Reveal()) {
		t.Error("the event holds the secret")
	}
	if _, err := gitlab.ParseHook(gitlab.EventType("Vulnerability Hook"), group.body); err == nil {
		t.Error("go-gitlab knows the event by now")
	}
}

func must[T any](v T, ok bool) T {
	if !ok {
		panic("not there")
	}
	return v
}

// Every change comes as the same event, whoever made it.
func TestChange(t *testing.T) {
	server, c := start(t, gitlabfake.Options{})
	r := newReceiver(t)
	server.AddHook(gitlabfake.Hook{Project: "acme/shop", URL: r.URL})
	id := server.AddVulnerability(gitlabfake.Vulnerability{})
	server.Change(id, gitlabfake.Confirmed, "ann", "seen")
	server.LinkIssue(id, "rotate it")
	response, err := do(t, c, http.MethodPost, vulnerabilityPath(id)+"/resolve", nil, nil)
	expect(t, "resolve", response, err, 201)
	server.Emit("deployment_hooks", "acme/shop", map[string]any{"object_kind": "deployment"})
	var states []string
	for _, d := range r.take(server) {
		e := d.event(t)
		states = append(states, fmt.Sprint(e.Attributes.State, " ", len(e.Attributes.Issues)))
	}
	if want := []string{"confirmed 0", "confirmed 1", "resolved 1"}; !slices.Equal(states, want) {
		t.Errorf("got %q, want %q", states, want)
	}
	if server.Change(1, gitlabfake.Resolved, "", "") || server.LinkIssue(1, "") {
		t.Error("a change of no vulnerability was made")
	}
}

func TestScan(t *testing.T) {
	server, c := start(t, gitlabfake.Options{})
	r := newReceiver(t)
	server.AddHook(gitlabfake.Hook{URL: r.URL})
	secret := leak.NewSecret("acme_0123456789")
	done := server.Scan(gitlabfake.Scan{Findings: []gitlabfake.Vulnerability{{Secret: secret, Rule: "Acme API Key"}}})
	got := r.take(server)
	if len(got) != 3 {
		t.Fatalf("got %d deliveries, want 3", len(got))
	}
	parsed, err := gitlab.ParseHook(gitlab.EventTypeJob, got[0].body)
	if job, ok := parsed.(*gitlab.JobEvent); !ok || int64(job.BuildID) != done.Job || job.BuildName != "secret_detection" || job.BuildStatus != "success" {
		t.Errorf("got the job %+v: %v", parsed, err)
	}
	parsed, err = gitlab.ParseHook(gitlab.EventTypePipeline, got[1].body)
	if pipeline, ok := parsed.(*gitlab.PipelineEvent); !ok || int64(pipeline.ObjectAttributes.ID) != done.Pipeline ||
		pipeline.Project.PathWithNamespace != "acme/shop" || int64(pipeline.Builds[0].ID) != done.Job {
		t.Errorf("got the pipeline %+v: %v", parsed, err)
	}
	if got[2].header.Get("X-Gitlab-Event") != "Vulnerability Hook" || got[0].header.Get("X-Gitlab-Event") != "Job Hook" {
		t.Errorf("got the events in another order")
	}
	if l := done.Leaked[0]; l.Type != "gitleaks_rule_id_acme_api_key" || !l.Token.Equal(secret) || l.Vulnerability != done.Vulnerabilities[0] {
		t.Errorf("got the leaked token %+v", l)
	}
	report, response, err := c.Jobs.DownloadSingleArtifactsFile("acme/shop", int(done.Job), "gl-secret-detection-report.json")
	expect(t, "report", response, err, 200)
	text := make([]byte, report.Len())
	_, _ = report.Read(text)
	if !strings.Contains(string(text), `"raw_source_code_extract": "`+secret.Reveal()) {
		t.Errorf("got the report %s", text)
	}
	_, response, err = c.Jobs.DownloadSingleArtifactsFile("acme/shop", int(done.Job), "other.json")
	expect(t, "another file", response, err, 404)
	for _, scan := range []gitlabfake.Scan{{Unlisted: true}, {Expired: true}} {
		hidden := server.Scan(scan)
		_, response, err = c.Jobs.DownloadSingleArtifactsFile("acme/shop", int(hidden.Job), "gl-secret-detection-report.json")
		expect(t, "unlisted or expired", response, err, 404)
		_, response, err = c.Jobs.GetJobArtifacts("acme/shop", int(hidden.Job))
		expect(t, "unlisted or expired archive", response, err, 404)
	}
	archive, response, err := c.Jobs.GetJobArtifacts("acme/shop", int(done.Job))
	expect(t, "archive", response, err, 200)
	if zipped, err := zip.NewReader(archive, archive.Size()); err != nil || zipped.File[0].Name != "gl-secret-detection-report.json" {
		t.Errorf("got the archive %v: %v", zipped, err)
	}
	job, response, err := c.Jobs.GetJob("acme/shop", int(done.Job))
	expect(t, "job", response, err, 200)
	if int64(job.Pipeline.ID) != done.Pipeline || job.Status != "success" || job.Commit.ID != must(server.Vulnerability(done.Vulnerabilities[0])).Commit {
		t.Errorf("got the job %+v", job)
	}
	_, response, err = c.Jobs.GetJob("acme/shop", int(done.Pipeline))
	expect(t, "no such job", response, err, 404)
	jobs, response, err := c.Jobs.ListPipelineJobs("acme/shop", int(done.Pipeline), nil)
	expect(t, "jobs", response, err, 200)
	if len(jobs) != 1 || jobs[0].Artifacts[0].FileType != "secret_detection" || jobs[0].ArtifactsFile.Filename == "" {
		t.Errorf("got the jobs %+v", jobs)
	}
	if branch := server.Scan(gitlabfake.Scan{Ref: "feature", Findings: make([]gitlabfake.Vulnerability, 2)}); branch.Vulnerabilities != nil || len(branch.Leaked) != 2 {
		t.Errorf("got %+v of another branch", branch)
	}
}

func TestVersions(t *testing.T) {
	for version, want := range map[string]string{"19.1": "idsv", "18.5.0-ee": "iv", "17.7": "iv", "17.6": "i", "17.3": ""} {
		server, _ := start(t, gitlabfake.Options{Version: version})
		r := newReceiver(t)
		server.AddHook(gitlabfake.Hook{URL: r.URL, SigningToken: gitlabfake.NewSigningToken()})
		server.Scan(gitlabfake.Scan{Findings: make([]gitlabfake.Vulnerability, 1)})
		var got string
		all := r.take(server)
		if bytes.Contains(all[0].body, []byte(`"project":{`)) != strings.Contains(want, "v") {
			t.Errorf("%s: got the job %s", version, all[0].body)
		}
		for letter, name := range map[string]string{"i": "Idempotency-Key", "d": "webhook-id", "s": "webhook-signature"} {
			if all[0].header.Get(name) != "" {
				got += letter
			}
		}
		for _, d := range all {
			if d.header.Get("X-Gitlab-Event") == "Vulnerability Hook" {
				got += "v"
			}
		}
		if strings.Join(sorted(got), "") != strings.Join(sorted(want), "") {
			t.Errorf("%s: got %q, want %q", version, got, want)
		}
	}
}

func sorted(s string) []string {
	letters := strings.Split(s, "")
	slices.Sort(letters)
	return letters
}

func TestHookSwitches(t *testing.T) {
	server, _ := start(t, gitlabfake.Options{})
	r := newReceiver(t)
	signing := gitlabfake.NewSigningToken()
	server.AddHook(gitlabfake.Hook{URL: r.URL, SigningToken: signing, Triggers: []string{gitlabfake.VulnerabilityHooks}})
	server.SetSwitches(gitlabfake.Switches{Twice: true, Signatures: "many", NoCommit: true})
	server.Detect(gitlabfake.Vulnerability{})
	got := r.take(server)
	if len(got) != 2 || verify(t, got[0], signing) != verify(t, got[1], signing) || got[0].event(t).Attributes.Location.Commit != nil {
		t.Errorf("twice: got %d deliveries", len(got))
	}
	if n := len(strings.Fields(got[0].header.Get("webhook-signature"))); n != 3 {
		t.Errorf("got %d signatures, want 3", n)
	}
	server.SetSwitches(gitlabfake.Switches{Reversed: true})
	server.Hold()
	first, second := server.Detect(gitlabfake.Vulnerability{}), server.Detect(gitlabfake.Vulnerability{})
	server.Release()
	got = r.take(server)
	if len(got) != 2 || !strings.HasSuffix(got[0].event(t).Attributes.URL, fmt.Sprint(second)) {
		t.Errorf("reversed: got %d deliveries, not %d and %d", len(got), second, first)
	}
	server.SetSwitches(gitlabfake.Switches{Drop: true})
	server.Detect(gitlabfake.Vulnerability{})
	if got := r.take(server); len(got) != 0 || len(server.Deliveries()) != 4 {
		t.Errorf("drop: got %d deliveries, %d in all", len(got), len(server.Deliveries()))
	}
}

// A chain of deliveries and calls reaches no hook twice, so a hook does not hear of a call that it caused.
func TestChains(t *testing.T) {
	server, c := start(t, gitlabfake.Options{})
	r := newReceiver(t)
	one := server.AddHook(gitlabfake.Hook{URL: r.URL})
	server.AddHook(gitlabfake.Hook{Project: "acme/shop", URL: r.URL})
	id := server.Detect(gitlabfake.Vulnerability{})
	got := r.take(server)
	chain := got[1].header.Get("X-Gitlab-Event-UUID") // of the group's hook
	post := func(verb string) {
		request, err := c.NewRequest(http.MethodPost, vulnerabilityPath(id)+"/"+verb, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Gitlab-Event-UUID", chain)
		response, err := c.Do(request, nil)
		expect(t, verb, response, err, 201)
	}
	post("confirm")
	heard := r.take(server)
	if len(heard) != 1 || heard[0].header.Get("X-Gitlab-Event-UUID") != chain {
		t.Fatalf("got %d deliveries, want the other hook's, in the chain", len(heard))
	}
	post("resolve")
	if heard := r.take(server); len(heard) != 0 {
		t.Errorf("got %d deliveries, want none", len(heard))
	}
	last := server.Deliveries()[len(server.Deliveries())-1]
	if last.Outcome != gitlabfake.Recursive || last.Hook != one || server.Journal()[1].Cause != chain {
		t.Errorf("got the delivery %+v", last)
	}
	chain = "a-uuid-of-ours"
	post("revert")
	if heard := r.take(server); len(heard) != 2 || heard[0].header.Get("X-Gitlab-Event-UUID") != chain {
		t.Errorf("got %d deliveries, want both with our UUID", len(heard))
	}
}
