package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/config/decode"
	"stanch/dispositions/ibmcloud"
	"stanch/notify/console"
	"stanch/receiver/github"
	"stanch/receiver/leak"
)

// adapters are one of each kind.
var adapters = config.Registry{
	Sources:   map[string]func() config.SourceAdapter{"github_partner": func() config.SourceAdapter { return new(github.PartnerConfig) }},
	Issuers:   map[string]func() config.IssuerAdapter{"ibmcloud": func() config.IssuerAdapter { return new(ibmcloud.Config) }},
	Notifiers: map[string]func() config.NotifierAdapter{"console": func() config.NotifierAdapter { return new(console.Config) }},
}

// smallest is a configuration without which stanch does not start, and its secret file is apikey.
const smallest = `
sources: [{name: gh-partner, type: github_partner}]
issuers: [{name: ibm, type: ibmcloud, auth: {apikey_file: apikey}, token_types: [ibm_cloud_iam_key]}]
`

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// load loads a configuration in a directory that has the secret file apikey.
func load(t *testing.T, text string) (*config.Config, []decode.Fault) {
	t.Helper()
	t.Chdir(t.TempDir())
	writeFile(t, "apikey", "a-key\n")
	writeFile(t, "stanch.yaml", text)
	return config.Load("stanch.yaml", adapters)
}

func TestDefaults(t *testing.T) {
	c, faults := load(t, smallest)
	if faults != nil {
		t.Fatalf("got faults %v", faults)
	}
	for _, row := range []struct {
		field     string
		got, want any
	}{
		{"store.embedded.dir", c.Store.Embedded.Dir, "data"},
		{"keys_dir", c.KeysDir, "keys"},
		{"web.public.address", c.Web.Public.Address, "127.0.0.1:8080"},
		{"web.private.address", c.Web.Private.Address, "127.0.0.1:9095"},
		{"limits.body", c.Limits.Body, config.Size(25 << 20)},
		{"limits.alerts_per_delivery", c.Limits.AlertsPerDelivery, 10_000},
		{"limits.in_flight_bytes", c.Limits.InFlightBytes, config.Size(64 << 20)},
		{"policy", c.Policy, config.Policy{
			Default: leak.Disable, KeyNone: leak.Nothing, Fuse: config.Fuse{Max: 50, Per: 10 * time.Minute},
		}},
		{"retention", c.Retention, 30 * 24 * time.Hour},
	} {
		if !reflect.DeepEqual(row.got, row.want) {
			t.Errorf("%s: got %v, want %v", row.field, row.got, row.want)
		}
	}
}

func TestGivenValues(t *testing.T) {
	c, faults := load(t, smallest+`
store: {embedded: {dir: /store, max_bytes: 2GiB}}
keys_dir: /keys
web:
  public: {address: ":80"}
  private: {address: "[::1]:0"}
  external_url: https://stanch.example.org/here
limits: {body: 1KiB, alerts_per_delivery: 7, in_flight_bytes: 4096, connections: 9}
policy:
  default: delete
  key_none: disable
  dry_run: true
  unlock: yes
  rules: [{name: it, when: key.locked, action: delete, severity: info, approval: true, unlock: false}]
  protect: [ApiKey-1, 2]
  fuse: {max: 3, per: 1h30m}
notifiers: [{name: console, type: console}]
retention: 1w
`)
	if faults != nil {
		t.Fatalf("got faults %v", faults)
	}
	if got, want := c.Store.Embedded, (config.Embedded{Dir: "/store", MaxBytes: 2 << 30}); got != want {
		t.Errorf("store: got %v, want %v", got, want)
	}
	wantWeb := config.Web{
		Public: config.Listener{Address: ":80"}, Private: config.Listener{Address: "[::1]:0"},
		ExternalURL: "https://stanch.example.org/here",
	}
	if c.Web != wantWeb {
		t.Errorf("web: got %v, want %v", c.Web, wantWeb)
	}
	if want := (config.Limits{Body: 1024, AlertsPerDelivery: 7, InFlightBytes: 4096, Connections: 9}); c.Limits != want {
		t.Errorf("limits: got %v, want %v", c.Limits, want)
	}
	wantPolicy := config.Policy{
		Default: leak.Delete, KeyNone: leak.Disable, DryRun: true, Unlock: true,
		Rules: []config.Rule{{
			Name: "it", When: "key.locked", Action: leak.Delete, Severity: leak.Info, Approval: true, Unlock: new(bool),
		}},
		Protect: []string{"ApiKey-1", "2"}, Fuse: config.Fuse{Max: 3, Per: 90 * time.Minute},
	}
	if !reflect.DeepEqual(c.Policy, wantPolicy) {
		t.Errorf("policy: got %+v, want %+v", c.Policy, wantPolicy)
	}
	if c.Retention != 7*24*time.Hour {
		t.Errorf("retention: got %v, want a week", c.Retention)
	}
	if len(c.Notifiers) != 1 || c.Notifiers[0].Adapter == nil {
		t.Errorf("notifiers: got %v, want one with its adapter", c.Notifiers)
	}
}

// A part of the file that two entries share is written once, with an anchor.
func TestAnchors(t *testing.T) {
	c, faults := load(t, `
sources: [{name: gh-partner, type: github_partner}]
issuers:
  - {name: one, type: ibmcloud, auth: &auth {apikey_file: apikey}, token_types: &types [a, b]}
  - {name: two, type: ibmcloud, auth: *auth, token_types: *types}
`)
	if faults != nil {
		t.Fatalf("got faults %v", faults)
	}
	if !reflect.DeepEqual(c.Issuers[0].TokenTypes, c.Issuers[1].TokenTypes) {
		t.Errorf("got token types %v, want %v", c.Issuers[1].TokenTypes, c.Issuers[0].TokenTypes)
	}
	if !reflect.DeepEqual(c.Issuers[0].Adapter, c.Issuers[1].Adapter) {
		t.Error("the second issuer is not configured like the first")
	}
}

// Relative paths start at the directory of the file, wherever it is seen from; what is absolute, or empty, stays.
func TestRelativePaths(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "etc/apikey", "a-key\n")
	writeFile(t, "etc/web/public.yaml", "{}\n")
	for _, row := range []struct{ text, socket, store, keys string }{
		{"", "etc/data", "etc/data", "etc/keys"},
		{"store: {embedded: {dir: ../var}}\nkeys_dir: keys", "var", "var", "etc/keys"},
		{"store: {embedded: {dir: /var}}\nkeys_dir: /keys", "/var", "/var", "/keys"},
		{"store: {embedded: {dir: \"\"}}\nkeys_dir: \"\"", "etc/data", "etc/data", "etc/keys"},
		{"store: {nats: {url: nats://a}}", "etc/run", "", "etc/keys"},
		{"store: {nats: {url: nats://a, dir: here}}", "etc/here", "", "etc/keys"},
	} {
		writeFile(t, "etc/stanch.yaml", smallest+"web: {public: {config_file: ./web/public.yaml}}\n"+row.text)
		c, faults := config.Load("etc/stanch.yaml", adapters)
		if faults != nil {
			t.Fatalf("%s: got faults %v", row.text, faults)
		}
		socket, err := config.SocketDir("etc/stanch.yaml")
		if err != nil || socket != row.socket || c.Store.Dir() != row.socket || c.Store.Embedded.Dir != row.store || c.KeysDir != row.keys {
			t.Errorf("%s: got socket %s (%v) and %s, store %s, keys %s", row.text, socket, err, c.Store.Dir(), c.Store.Embedded.Dir, c.KeysDir)
		}
		if got, want := c.Web.Public.ConfigFile, "etc/web/public.yaml"; got != want {
			t.Errorf("got web configuration %s, want %s", got, want)
		}
		if got, want := c.Issuers[0].Adapter.(*ibmcloud.Config).Auth.APIKeyFile, "etc/apikey"; got != want {
			t.Errorf("got API key %s, want %s", got, want)
		}
	}
}

// The socket is found through a file that has faults elsewhere, and not through one whose store is not understood.
func TestSocketDir(t *testing.T) {
	t.Chdir(t.TempDir())
	if dir, err := config.SocketDir("stanch.yaml"); err != nil || dir != "data" {
		t.Errorf("without a file: got %s and %v, want data", dir, err)
	}
	for text, want := range map[string]string{
		"store: {embedded: {dir: here}}\nsources: 7\nnothing: [{name: x, type: y}]": "here",
		"store: {embedded: {dir: [a]}}":                                             "", "store: {embed: {dir: a}}": "", "store: [": "",
	} {
		writeFile(t, "stanch.yaml", text)
		if dir, err := config.SocketDir("stanch.yaml"); dir != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q and %v, want %q", text, dir, err, want)
		}
	}
}

func TestLoadOfNoFile(t *testing.T) {
	_, faults := config.Load(filepath.Join(t.TempDir(), "nothing.yaml"), adapters)
	if len(faults) != 1 || !strings.HasSuffix(faults[0].String(), "nothing.yaml: cannot be read: no such file or directory") {
		t.Errorf("got %v, want one fault that says so", faults)
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]config.Size{
		"0": 0, "7": 7, "7B": 7, "3KiB": 3 << 10, "25MiB": 25 << 20, "64GiB": 64 << 30, "1TiB": 1 << 40,
	} {
		var got config.Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: got %d and error %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5MiB", "1MB", "1 MiB", "8388608TiB", "9223372036854775808", "0x1F"} {
		var got config.Size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(smallest)
	f.Add("sources: [{name: A, type: x}, {}, [], null]\nissuers: &a [*a]\n<<: *a\n---\nb: 1")
	f.Add("policy: {rules: [{name: a, when: >\n  key.nme ==\n\n  'a'}, {when: \"\\n\\x20x\"}, {when: &a 'b' , action: *a}]}")
	f.Add("policy:\n  rules:\n  - when: |2\n\n      kye\n    && now\n")
	f.Add("limits: {body: 1MB, in_flight_bytes: -1}\nretention: 400d\npolicy: {fuse: {max: x, per: -1}, default: z}")
	f.Fuzz(func(t *testing.T, text string) {
		c, faults := config.Parse("fuzz.yaml", []byte(text), adapters)
		if (c == nil) != (len(faults) > 0) {
			t.Fatalf("got configuration %v with %d faults", c, len(faults))
		}
		last, longest := 1, 0
		for line := range strings.Lines(text) {
			longest = max(longest, len([]rune(line)))
		}
		for _, fault := range faults {
			if fault.Line < last || fault.File != "fuzz.yaml" || fault.Text == "" {
				t.Errorf("got fault %v after line %d", fault, last)
			}
			last = fault.Line
			if fault.Column < 0 || fault.Column > longest+1 {
				t.Errorf("got fault %v, right of every line", fault)
			}
		}
	})
}
