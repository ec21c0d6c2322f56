package main_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/feedfake"
	"stanch/receiver/gitlabfake"
	"stanch/receiver/queue/soak"
)

// laboratory is a site beside a GitLab whose group is acme.
type laboratory struct {
	*site
	gitlab  *gitlabfake.Server
	revoker *feedfake.Revoker
	hook    int64
}

// glRule finds the keys of these tests.
const glRule = "Acme key"

func newLaboratory(t *testing.T) *laboratory {
	t.Helper()
	gitlab, err := gitlabfake.Start(gitlabfake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gitlab.Close)
	kind := feedfake.RevocationType("gitleaks_rule_id", glRule)
	l := &laboratory{site: newSite(t, ibmfake.Switches{}, "policy: {fuse: {max: 100000}}\n"), gitlab: gitlab}
	signing := gitlabfake.NewSigningToken()
	l.write("signing", signing.Reveal())
	l.write("revocation", "the-token-of-the-revocation-api")
	l.write("gitlab-token", gitlab.AddToken(gitlabfake.Token{Login: "stanch-bot"}).Reveal())
	l.rewrite("stanch.yaml", "issuers:", fmt.Sprintf(`  - {name: gl, type: gitlab_revocation, token_files: [revocation], types: [%s]}
  - {name: gl-hooks, type: gitlab_webhook, signing_token_files: [signing], group: acme, api: {url: %q, token_file: gitlab-token}}
issuers:`, kind, gitlab.URL()))
	l.rewrite("stanch.yaml", "[ibm_cloud_iam_key]", "[ibm_cloud_iam_key, "+kind+"]")
	base := "http://" + l.public + "/hooks/gl/v1/"
	l.revoker = feedfake.NewRevoker(feedfake.RevokerOptions{
		TypesURL: base + "revocable_token_types", URL: base + "revoke_tokens", Token: secret("the-token-of-the-revocation-api"),
		Backoff: func(int) time.Duration { return 50 * time.Millisecond },
	})
	l.hook = gitlab.AddHook(gitlabfake.Hook{Group: "acme", URL: "http://" + l.public + "/hooks/gl-hooks", SigningToken: signing})
	return l
}

// leak gives GitLab a set of tokens to have revoked.
func (l *laboratory) leak(keys []leaked) {
	var set []feedfake.Leaked
	for _, k := range keys {
		set = append(set, feedfake.Leaked{
			Type: feedfake.RevocationType("gitleaks_rule_id", glRule), Token: k.key.Value,
			Location: cmp.Or(k.url, "https://gitlab.example/"+k.key.Name),
		})
	}
	l.revoker.Leak(set...)
}

// attempt lets GitLab try every set that is due.
func (l *laboratory) attempt() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l.revoker.RunDue(ctx)
}

func (l *laboratory) open() (n int) {
	for _, set := range l.revoker.Sets() {
		if !set.Done {
			n++
		}
	}
	return n
}

// TestRevocationOverKillsAndAFullStore lets GitLab have tokens revoked by a receiver that is killed on the way and whose
// store is full for a while: everything is revoked, and nothing twice.
func TestRevocationOverKillsAndAFullStore(t *testing.T) {
	t.Parallel()
	l := newLaboratory(t)
	l.rewrite("stanch.yaml", "{dir: data}", "{dir: data, max_bytes: 16MiB}")
	keys, _ := l.disabling(soak.Size(420, 1400))
	lengthen(keys)
	for n := 0; n < len(keys); n += 20 {
		l.leak(keys[n : n+20])
	}
	l.start()
	l.iam.AddFault(ibmfake.Fault{Times: ibmfake.Forever, Delay: time.Minute}) // so that alerts pile up
	l.attempt()
	if open, all := l.open(), len(l.revoker.Sets()); open == 0 || open == all {
		t.Fatalf("%d of %d sets are refused: the store is full of them or of none", open, all)
	}
	l.kill()
	l.attempt() // nobody is there
	l.iam.ClearFaults()
	l.rewrite("stanch.yaml", "16MiB", "64MiB")
	l.start()
	random := rand.New(rand.NewPCG(5, 5))
	for range 3 {
		go func(p func()) {
			time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
			p()
		}(func() { _ = l.process.Process.Kill() })
		l.attempt()
		_ = l.wait()
		l.start()
	}
	l.waitFor("every set answered with success", func() bool {
		l.attempt()
		return l.open() == 0
	})
	l.waitContained(len(keys))
	for _, k := range keys {
		if now, there := l.iam.Key(k.id); !disabled(now, there) || l.iam.Count("disable", k.id) > 2 {
			t.Errorf("key %s: there %v, disabled %v by %d calls", k.key.Name, there, now.Disabled, l.iam.Count("disable", k.id))
		}
	}
	for _, i := range l.incidents() {
		if n := i.outcomes(); n != 1 {
			t.Errorf("incident %s has %d outcomes", i.ID, n)
		}
	}
}

// TestGitLabHookSwitchedOff lets the receiver be down until GitLab switches its hook off: what no delivery told of is found by
// the sweep, doctor says what is wrong, and when the hook is on again leaks are told of as before.
func TestGitLabHookSwitchedOff(t *testing.T) {
	t.Parallel()
	l := newLaboratory(t)
	keys, _ := l.disabling(12)
	scan := func(k leaked) {
		l.gitlab.Scan(gitlabfake.Scan{Project: "acme/shop", Findings: []gitlabfake.Vulnerability{{Rule: glRule, Secret: k.key.Value}}})
	}
	for _, k := range keys[:10] {
		scan(k)
	}
	l.gitlab.Wait()
	if status := l.gitlab.HookStatus(l.hook); status == gitlabfake.Executable {
		t.Fatalf("the hook is %s although nobody answered", status)
	}
	out, err := l.command("doctor", "--config.file", "stanch.yaml")
	if at := strings.Index(out, "gl-hooks   hook "); err == nil || at < 0 || !strings.Contains(out[at:min(at+80, len(out))], "failure") {
		t.Errorf("doctor says nothing of a hook that is off: %v\n%s", err, out)
	}
	l.start()
	if out, err = l.command("backfill", "--source", "gl-hooks"); err != nil || !strings.Contains(out, "gl-hooks holds ") {
		t.Errorf("backfill: %q, %v", out, err)
	}
	l.waitContained(10)
	l.gitlab.ChangeHook(l.hook, func(h *gitlabfake.Hook) { h.Failures, h.DisabledUntil = 0, time.Time{} })
	scan(keys[10])
	l.waitContained(11)
	l.waitFor("every vulnerability resolved", func() bool {
		for _, v := range l.gitlab.Vulnerabilities() {
			if v.State != gitlabfake.Resolved || !strings.Contains(v.Comment, "is disabled, proved") {
				return false
			}
		}
		return true
	})
	for _, k := range keys[:11] {
		if n := l.iam.Count("disable", k.id); n != 1 {
			t.Errorf("key %s was disabled %d times", k.key.Name, n)
		}
	}
	l.wantNothingPlanted()
}
