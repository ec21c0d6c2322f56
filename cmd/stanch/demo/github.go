package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"stanch/cmd/stanch/api"
	"stanch/dispositions/ibmfake"
	"stanch/receiver/githubfake"
	"stanch/receiver/leak"
)

// hub is the demo's GitHub, where an organisation has its repositories and its own secret scanning.
type hub struct {
	*githubfake.Server
	secret leak.Secret // of the organisation's hook
	key    ibmfake.Key // that leaks
	value  leak.Secret
}

// The organisation of the demo, where its key leaks, and what its custom pattern calls such keys.
const (
	demoRepository = "acme/shop"
	demoPattern    = "acme_ibm_key"
)

func newHub(iam *ibmfake.Server) (*hub, error) {
	server, err := githubfake.Start(githubfake.Options{})
	if err != nil {
		return nil, fmt.Errorf("starting the fake GitHub: %w", err)
	}
	h := &hub{Server: server, secret: leak.NewSecret("a-demo-needs-no-secret"), key: ibmfake.Key{Name: "shop-deploy", Setting: "disable"}}
	h.key.ID, h.value = iam.AddKey(h.key)
	h.AddRepository(githubfake.Repository{Name: demoRepository})
	return h, nil
}

// configure writes the secret files of the source, and returns its entry in the configuration.
func (h *hub) configure(dir string) (string, error) {
	token := h.AddToken(githubfake.Token{Login: "stanch-bot"})
	files := map[string]leak.Secret{"hook-secret": h.secret, "github-token": token}
	for name, value := range files {
		if err := writeSecret(filepath.Join(dir, name), value); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("  - {name: acme, type: github_webhook, secret_files: [hook-secret], organization: acme, "+
		"api: {url: %q, token_file: github-token}}\n", h.URL()), nil
}

// leak lets the organisation's secret scanning find the key, and waits until its alert is resolved.
func (h *hub) leak(ctx context.Context, public string) (githubfake.Alert, error) {
	h.AddHook(githubfake.Hook{Organisation: "acme", URL: public + "/hooks/acme", Secret: h.secret})
	number := h.Raise(githubfake.Alert{
		Repository: demoRepository, Secret: h.value, SecretType: demoPattern,
		Locations: []githubfake.Location{{Path: "deploy/.env", Line: 3}},
	})
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	for {
		alert, _ := h.Alert(demoRepository, number)
		if alert.State == "resolved" {
			return alert, nil
		}
		select {
		case <-ctx.Done():
			return alert, errors.New("the organisation's alert was not resolved in time")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// showOrganisation shows the leak of an organisation: the hook without the secret, the secret fetched, the key dead, the
// alert resolved.
func (d *demonstration) showOrganisation(ctx context.Context) error {
	d.say("\nan organisation's own secret scanning finds a key in %s; its hook tells of the alert, not of the secret:\n", demoRepository)
	begun := time.Now()
	alert, err := d.hub.leak(ctx, d.public)
	if err != nil {
		return err
	}
	var v api.Incident
	reported := func(v api.Incident) bool { return v.Steps[len(v.Steps)-1].Step == leak.Reported }
	if v, err = d.incidentOf(ctx, d.hub.key.ID, reported); err != nil {
		return err
	}
	d.say("\n  %s, alert %d: %s as %s after %s, with the comment", demoRepository, alert.Number, alert.State, alert.Resolution,
		time.Since(begun).Round(100*time.Microsecond))
	d.say("    %s", alert.Comment)
	d.say("  %s", stepsAfter(v))
	now, there := d.iam.Key(d.hub.key.ID)
	if v.State != leak.Contained || !there || !now.Disabled || alert.Resolution != "revoked" || !strings.Contains(alert.Comment, "is disabled") {
		return errors.New("the organisation's key did not end as its policy says")
	}
	d.say("\nthe organisation's key is disabled, and its alert says so")
	return nil
}
