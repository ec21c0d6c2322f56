package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"stanch/cmd/stanch/api"
	"stanch/dispositions/ibmfake"
	"stanch/receiver/feedfake"
	"stanch/receiver/gitlabfake"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// lab is the GitLab of the demo: a company's own instance, which has leaked tokens revoked and tells of vulnerabilities, and
// gitlab.com, which tells partners.
type lab struct {
	*gitlabfake.Server
	partner    *feedfake.GitLabPartner
	keys       *vendorfake.Server // of the partner programme
	signing    leak.Secret        // token of the group's hook
	revocation leak.Secret        // token of the revocation API
	samples    []*labSample
}

// labSample is a key that leaks on GitLab, by the source that tells of it.
type labSample struct {
	how   string
	key   ibmfake.Key
	value leak.Secret
	tell  func(ctx context.Context, d *demonstration, s *labSample) error
}

// demoRule is the rule of secret detection that finds the demo's keys, and demoRuleType what GitLab calls their type.
const demoRule = "IBM Cloud API key"

var demoRuleType = feedfake.RevocationType("gitleaks_rule_id", demoRule)

func newLab(iam *ibmfake.Server) (*lab, error) {
	server, err := gitlabfake.Start(gitlabfake.Options{})
	if err != nil {
		return nil, fmt.Errorf("starting the fake GitLab: %w", err)
	}
	partner, err := feedfake.NewGitLabPartner()
	if err != nil {
		server.Close()
		return nil, fmt.Errorf("making GitLab's signing key: %w", err)
	}
	l := &lab{
		Server: server, partner: partner, signing: gitlabfake.NewSigningToken(),
		revocation: leak.NewSecret("a-demo-needs-no-secret-either"),
		samples: []*labSample{
			{how: "GitLab's revocation API", key: ibmfake.Key{Name: "etl-nightly", Setting: "disable"}, tell: tellRevocation},
			{how: "GitLab's partner feed", key: ibmfake.Key{Name: "mobile-build", Setting: "delete"}, tell: tellPartner},
			{how: "a vulnerability hook", key: ibmfake.Key{Name: "status-page", Setting: "disable"}, tell: tellVulnerability},
		},
	}
	for _, s := range l.samples {
		s.key.ID, s.value = iam.AddKey(s.key)
	}
	if err := l.publishKeys(); err != nil {
		server.Close()
		return nil, err
	}
	return l, nil
}

func (l *lab) publishKeys() error {
	keys, err := vendorfake.Serve(l.partner)
	if err != nil {
		return fmt.Errorf("publishing GitLab's key: %w", err)
	}
	l.keys = keys
	return nil
}

func (l *lab) close() {
	l.Close()
	l.keys.Close()
}

// configure writes the secret files of the sources, and returns their entries in the configuration.
func (l *lab) configure(dir string) (string, error) {
	api := l.AddToken(gitlabfake.Token{Login: "stanch-bot"})
	files := map[string]leak.Secret{"gitlab-signing": l.signing, "gitlab-revocation": l.revocation, "gitlab-token": api}
	for name, value := range files {
		if err := writeSecret(filepath.Join(dir, name), value); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf(`  - {name: gl, type: gitlab_revocation, token_files: [gitlab-revocation], types: [%s]}
  - {name: gl-partner, type: gitlab_partner, keys_url: %q}
  - {name: gl-hooks, type: gitlab_webhook, signing_token_files: [gitlab-signing], group: acme, api: {url: %q, token_file: gitlab-token}}
`, demoRuleType, l.keys.Origin(), l.URL()), nil
}

// tellRevocation lets the instance have a token revoked.
func tellRevocation(ctx context.Context, d *demonstration, s *labSample) error {
	base := d.public + "/hooks/gl/v1/"
	revoker := feedfake.NewRevoker(feedfake.RevokerOptions{
		TypesURL: base + "revocable_token_types", URL: base + "revoke_tokens", Token: d.lab.revocation,
	})
	set := revoker.Leak(feedfake.Leaked{Type: demoRuleType, Token: s.value, Location: "https://gitlab.example/acme/etl/-/blob/main/run.sh"})
	return revoker.Attempt(ctx, set)
}

// tellPartner lets gitlab.com report a token to its issuer.
func tellPartner(ctx context.Context, d *demonstration, s *labSample) error {
	status, err := d.lab.partner.Send(ctx, d.public+"/hooks/gl-partner", feedfake.Reported{
		Type: "ibm_cloud_iam_key", Token: s.value, URL: "https://gitlab.com/example/app/-/blob/main/build.gradle",
	})
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("the delivery was answered %d", status)
	}
	return err
}

// tellVulnerability lets secret detection find a key in a project of the group.
func tellVulnerability(_ context.Context, d *demonstration, s *labSample) error {
	d.lab.AddHook(gitlabfake.Hook{Group: "acme", URL: d.public + "/hooks/gl-hooks", SigningToken: d.lab.signing})
	d.lab.Scan(gitlabfake.Scan{Project: "acme/status", Findings: []gitlabfake.Vulnerability{{Rule: demoRule, Secret: s.value, File: "site.env"}}})
	return nil
}

// showGitLab shows a leak by each of GitLab's three sources.
func (d *demonstration) showGitLab(ctx context.Context) error {
	for _, s := range d.lab.samples {
		d.say("\n%s tells of a key:\n", s.how)
		if err := s.tell(ctx, d, s); err != nil {
			return fmt.Errorf("telling by %s: %w", s.how, err)
		}
		v, err := d.incidentOf(ctx, s.key.ID, func(v api.Incident) bool { return v.State == leak.Contained })
		if err != nil {
			return err
		}
		d.say("\n  %s: %s", s.key.Name, stepsAfter(v))
	}
	if err := d.resolvedAtGitLab(ctx); err != nil {
		return err
	}
	for _, s := range d.lab.samples {
		key, there := d.iam.Key(s.key.ID)
		if gone := s.key.Setting == "delete"; there == gone || there && !key.Disabled {
			return fmt.Errorf("the key of %s did not end as its policy says", s.how)
		}
	}
	d.say("\nevery key that leaked on GitLab is dead")
	return nil
}

// resolvedAtGitLab waits until the vulnerability is resolved, and shows its comment.
func (d *demonstration) resolvedAtGitLab(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	for {
		for _, v := range d.lab.Vulnerabilities() {
			if v.State == gitlabfake.Resolved {
				d.say("  %s, vulnerability %d: %s, with the comment", v.Project, v.ID, v.State)
				d.say("    %s", v.Comment)
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.New("the vulnerability was not resolved in time")
		case <-time.After(20 * time.Millisecond):
		}
	}
}
