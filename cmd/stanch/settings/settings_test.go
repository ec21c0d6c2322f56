package settings_test

import (
	"log/slog"
	"os"
	"strings"
	"testing"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/role"
	"stanch/cmd/stanch/settings"
	"stanch/dispositions/ibmcloud"
	"stanch/notify/console"
	"stanch/receiver/github"
)

var adapters = config.Registry{
	Sources: map[string]func() config.SourceAdapter{
		"github_partner": func() config.SourceAdapter { return new(github.PartnerConfig) },
	},
	Issuers:   map[string]func() config.IssuerAdapter{"ibmcloud": func() config.IssuerAdapter { return new(ibmcloud.Config) }},
	Notifiers: map[string]func() config.NotifierAdapter{"console": func() config.NotifierAdapter { return new(console.Config) }},
}

const file = `
sources: [{name: gh, type: github_partner}, {name: other, type: github_partner}]
issuers: [{name: ibm, type: ibmcloud, auth: {apikey_file: apikey}, token_types: [ibm_cloud_iam_key]}]
notifiers: [{name: console, type: console}]
`

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// open writes a configuration and opens it after other settings.
func open(t *testing.T, text string, before *settings.Settings, roles ...string) *settings.Settings {
	t.Helper()
	write(t, "stanch.yaml", text)
	c, faults := config.Load("stanch.yaml", adapters, roles...)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	opened, bad := settings.Open(c, before, slog.New(slog.DiscardHandler))
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	return opened
}

// TestOpenTakesOver reads the file again: an entry that is the same stays open, one that changed is opened anew, and so is one whose
// secret file changed.
func TestOpenTakesOver(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "apikey", "a-key")
	before := open(t, file, nil)
	same := open(t, file, before)
	if len(same.Without(before)) > 0 || same.Engine().Issuers[0].Issuer != before.Engine().Issuers[0].Issuer {
		t.Error("nothing changed, and something was opened anew")
	}
	write(t, "apikey", "another-key")
	next := open(t, strings.Replace(file, "{name: other, type: github_partner}", "{name: other, type: github_partner, feedback: token_raw}", 1), before)
	if fresh := next.Without(before); len(fresh) != 1 || fresh["other"] == nil {
		t.Errorf("got %v opened anew, want the source that changed", fresh)
	}
	if next.Engine().Issuers[0].Issuer == before.Engine().Issuers[0].Issuer {
		t.Error("the issuer still has the old key")
	}
	gone := open(t, strings.Replace(file, ", {name: other, type: github_partner}", "", 1), next)
	if old := next.Without(gone); len(old) != 1 || old["other"] == nil {
		t.Errorf("got %v to end, want the source that is gone", old)
	}
}

// TestOpenForARole opens what one role needs, and does not read the secrets of others.
func TestOpenForARole(t *testing.T) {
	t.Chdir(t.TempDir())
	opened := open(t, file, nil, role.Receiver)
	if len(opened.Receiver()) != 2 || len(opened.Engine().Issuers) > 0 || len(opened.Notifier().Routes) > 0 {
		t.Errorf("got %d sources, %d issuers and %d notifiers, want the sources alone",
			len(opened.Receiver()), len(opened.Engine().Issuers), len(opened.Notifier().Routes))
	}
}
