package receiver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stanch/receiver"
	"stanch/receiver/feedfake"
	"stanch/receiver/gitlab"
	"stanch/receiver/gitlabfake"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
)

// newGitLab starts a fake GitLab that delivers to a house.
func newGitLab(t *testing.T, o gitlabfake.Options) *gitlabfake.Server {
	t.Helper()
	server, err := gitlabfake.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// TestGitLabSendsHooks: GitLab's own hooks are accepted in every position of the fake's switches, and make the right pointers.
func TestGitLabSendsHooks(t *testing.T) {
	for _, position := range gitlabfake.Positions() {
		t.Run(fmt.Sprintf("%+v", position), func(t *testing.T) {
			server := newGitLab(t, gitlabfake.Options{Switches: position})
			h := newHouse(t, withSource(newGitLabHook(t)))
			hook := server.AddHook(gitlabfake.Hook{
				URL: h.url + "/hooks/gh", SigningToken: leak.NewSecret(signingToken), Token: leak.NewSecret(planted),
			})
			id := server.Detect(gitlabfake.Vulnerability{Secret: leak.NewSecret(planted)})
			server.Detect(gitlabfake.Vulnerability{ReportType: "dependency_scanning"})
			server.Emit("push_events", "acme/shop", map[string]any{"object_kind": "push", "title": planted})
			server.Wait()
			server.Change(id, gitlabfake.Confirmed, "", "")
			server.Wait()
			if got := server.HookStatus(hook); got != gitlabfake.Executable {
				t.Errorf("got the hook %s, want that GitLab goes on sending", got)
			}
			_, pointers := h.pointers(t)
			if len(pointers) != 2 {
				t.Fatalf("got %d pointers, want 2", len(pointers))
			}
			for i, event := range []string{"detected", "confirmed"} {
				if p := pointers[i]; p.Ref != fmt.Sprintf("acme/shop/-/vulnerabilities/%d", id) || p.Event != event || p.Cause == "" {
					t.Errorf("got the pointer %+v, want one to the vulnerability that was %s", p, event)
				}
			}
			if pointers[0].By != "" || pointers[1].By == "" {
				t.Errorf("got pointers by %q and %q, want that somebody confirmed it", pointers[0].By, pointers[1].By)
			}
			h.wantNothingPlanted(t)
		})
	}
}

// TestGitLabSendsJobs: an older GitLab, which signs nothing, reports the job that has the report.
func TestGitLabSendsJobs(t *testing.T) {
	server := newGitLab(t, gitlabfake.Options{Version: "16.0"})
	config := gitlab.HookConfig{Group: "acme", SecretTokenFiles: writeToken(t, "in-plain-text")}
	source, err := config.Open("gh", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, withSource(source))
	good := gitlabfake.Hook{URL: h.url + "/hooks/gh", Token: leak.NewSecret("in-plain-text")}
	bad := gitlabfake.Hook{URL: h.url + "/hooks/gh", Token: leak.NewSecret(planted)}
	taken, refused := server.AddHook(good), server.AddHook(bad)
	scanned := server.Scan(gitlabfake.Scan{Findings: []gitlabfake.Vulnerability{{Secret: leak.NewSecret(planted)}}})
	server.Wait()
	if _, pointers := h.pointers(t); len(pointers) != 1 || pointers[0].Ref != fmt.Sprintf("acme/shop/-/jobs/%d", scanned.Job) {
		t.Errorf("got the pointers %+v, want one to the job %d", pointers, scanned.Job)
	}
	for _, d := range server.Deliveries() {
		if want := map[int64]int{taken: 204, refused: 401}[d.Hook]; d.StatusCode != want {
			t.Errorf("got the status %d for %s of hook %d, want %d", d.StatusCode, d.Trigger, d.Hook, want)
		}
	}
	h.wantNothingPlanted(t)
}

// TestGitLabHookRecovers: while nothing can be stored, GitLab switches the hook off. The lost deliveries can be sent again under the
// same ids, and make the same pointers.
func TestGitLabHookRecovers(t *testing.T) {
	server := newGitLab(t, gitlabfake.Options{})
	store := &failing{Store: memory.New(), err: queue.ErrFull}
	h := newHouse(t, withSource(newGitLabHook(t)), func(h *house, c *receiver.Config) { h.store, c.Store = store.Store, store })
	hook := server.AddHook(gitlabfake.Hook{URL: h.url + "/hooks/gh", SigningToken: leak.NewSecret(signingToken)})
	for range 5 {
		server.Detect(gitlabfake.Vulnerability{})
	}
	server.Wait()
	if got := server.HookStatus(hook); got != gitlabfake.TemporarilyDisabled {
		t.Errorf("got the hook %s, want that GitLab switched it off", got)
	}
	store.err = nil
	server.ChangeHook(hook, func(h *gitlabfake.Hook) { h.Failures, h.DisabledUntil = 0, time.Time{} })
	token := server.AddToken(gitlabfake.Token{})
	resent := 0
	for _, d := range server.Deliveries() {
		if d.Outcome != gitlabfake.Sent {
			continue
		}
		address := fmt.Sprintf("%s/api/v4/groups/acme/hooks/%d/events/%d/resend", server.URL(), hook, d.ID)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("PRIVATE-TOKEN", token.Reveal())
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode == http.StatusCreated {
			resent++
		}
	}
	server.Wait()
	if _, pointers := h.pointers(t); resent == 0 || len(pointers) != resent {
		t.Errorf("got %d pointers of %d deliveries that were sent again", len(pointers), resent)
	}
}

// TestGitLabRevokes: GitLab repeats the whole set of tokens of the wanted types until it is stored.
func TestGitLabRevokes(t *testing.T) {
	store := &failing{Store: memory.New(), err: queue.ErrFull}
	h := newHouse(t, withSource(newRevocation(t)), func(h *house, c *receiver.Config) { h.store, c.Store = store.Store, store })
	for _, older := range []bool{false, true} {
		revoker := feedfake.NewRevoker(feedfake.RevokerOptions{
			TypesURL: h.url + "/hooks/gh/v1/revocable_token_types", URL: h.url + "/hooks/gh/v1/revoke_tokens",
			Token: leak.NewSecret(revocationToken), Older: older,
			Backoff: func(int) time.Duration { store.err = nil; return 0 },
		})
		store.err = queue.ErrFull
		kind := feedfake.RevocationType("gitleaks_rule_id", "IBM Cloud IAM key")
		revoker.Leak(
			feedfake.Leaked{Type: kind, Token: leak.NewSecret(planted), Location: "https://gitlab.example.org/a", Vulnerability: 7},
			feedfake.Leaked{Type: kind, Token: leak.NewSecret("second")},
			feedfake.Leaked{Type: "gitleaks_rule_id_aws", Token: leak.NewSecret("never asked for")},
		)
		if err := revoker.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if set := revoker.Sets()[0]; !set.Done || set.Posts != 2 {
			t.Errorf("got the set %+v, want it done at the second attempt", set)
		}
	}
	h.wantStored(t, 2, 0)
	for _, alert := range h.alerts(t) {
		if alert.Type != "gitleaks_rule_id_ibm_cloud_iam_key" || alert.Secret.Reveal() == "never asked for" {
			t.Errorf("got an alert of the type %s, want only what was asked for", alert.Type)
		}
	}
}

// TestGitLabTellsPartners: a delivery of the partner programme, before and after a rotation of the keys.
func TestGitLabTellsPartners(t *testing.T) {
	partner, err := feedfake.NewGitLabPartner()
	if err != nil {
		t.Fatal(err)
	}
	keys := httptest.NewServer(partner)
	t.Cleanup(keys.Close)
	config := gitlab.PartnerConfig{KeysURL: keys.URL}
	source, err := config.Open("gh", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, withSource(source))
	for i, token := range []string{planted, "second"} {
		if i > 0 {
			if err := partner.Rotate(); err != nil {
				t.Fatal(err)
			}
		}
		reported := feedfake.Reported{Type: "my_api_token", Token: leak.NewSecret(token), URL: "https://gitlab.com/a"}
		if status, err := partner.Send(t.Context(), h.url+"/hooks/gh", reported); err != nil || status != http.StatusNoContent {
			t.Errorf("delivery %d: got %d and %v, want 204", i, status, err)
		}
	}
	h.wantStored(t, 2, 0)
	if shown := h.log.String(); strings.Contains(shown, planted) {
		t.Errorf("the log holds the planted token: %s", shown)
	}
}
