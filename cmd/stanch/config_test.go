package main_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	stanch "stanch/cmd/stanch"
	"stanch/receiver/leak"
)

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
func load(t *testing.T, text string) (*stanch.Config, []stanch.Fault) {
	t.Helper()
	t.Chdir(t.TempDir())
	writeFile(t, "apikey", "a key\n")
	writeFile(t, "stanch.yaml", text)
	return stanch.Load("stanch.yaml")
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
		{"store.embedded.dir", c.Store.Embedded.Dir, "./data"},
		{"keys_dir", c.KeysDir, "./keys"},
		{"web.public.address", c.Web.Public.Address, "127.0.0.1:8080"},
		{"web.private.address", c.Web.Private.Address, "127.0.0.1:9095"},
		{"limits.body", c.Limits.Body, stanch.Size(25 << 20)},
		{"limits.alerts_per_delivery", c.Limits.AlertsPerDelivery, 10_000},
		{"limits.in_flight_bytes", c.Limits.InFlightBytes, stanch.Size(64 << 20)},
		{"policy", c.Policy, stanch.Policy{
			Default: leak.Disable, KeyNone: leak.Nothing, Fuse: stanch.Fuse{Max: 50, Per: 10 * time.Minute},
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
	if got, want := c.Store.Embedded, (stanch.Embedded{Dir: "/store", MaxBytes: 2 << 30}); got != want {
		t.Errorf("store: got %v, want %v", got, want)
	}
	wantWeb := stanch.Web{
		Public: stanch.Listener{Address: ":80"}, Private: stanch.Listener{Address: "[::1]:0"},
		ExternalURL: "https://stanch.example.org/here",
	}
	if c.Web != wantWeb {
		t.Errorf("web: got %v, want %v", c.Web, wantWeb)
	}
	if want := (stanch.Limits{Body: 1024, AlertsPerDelivery: 7, InFlightBytes: 4096, Connections: 9}); c.Limits != want {
		t.Errorf("limits: got %v, want %v", c.Limits, want)
	}
	wantPolicy := stanch.Policy{
		Default: leak.Delete, KeyNone: leak.Disable, DryRun: true, Unlock: true,
		Rules: []stanch.Rule{{
			Name: "it", When: "key.locked", Action: leak.Delete, Severity: leak.Info, Approval: true, Unlock: new(bool),
		}},
		Protect: []string{"ApiKey-1", "2"}, Fuse: stanch.Fuse{Max: 3, Per: 90 * time.Minute},
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

// uncomment puts every commented field of the example in force.
func uncomment(example string) string {
	return regexp.MustCompile(`(?m)^( *)# ?([a-z_]+: |- \{)`).ReplaceAllString(example, "$1$2")
}

// The example names its secret files relative to the working directory, and here each of them is made.
func TestExample(t *testing.T) {
	example, err := filepath.Abs("../../deploy/stanch.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for _, match := range regexp.MustCompile(`[a-z_]*_files?: \[?([^\s,\]}]+)`).FindAllStringSubmatch(string(text), -1) {
		content := "something-long-enough\n"
		switch {
		case filepath.Ext(match[1]) == ".yaml":
			content = "{}\n"
		case strings.Contains(match[0], "signing_token"), strings.HasPrefix(match[0], "secret_file:"):
			content = "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))) + "\n"
		}
		writeFile(t, match[1], content)
	}
	if _, faults := stanch.Load(example); faults != nil {
		t.Errorf("got faults %v", faults)
	}
	if _, faults := stanch.Parse("uncommented", []byte(uncomment(string(text)))); faults != nil {
		t.Errorf("with every commented field in force: got faults %v", faults)
	}
}

// An operator starts from the example, so each field must be there.
func TestExampleNamesEveryField(t *testing.T) {
	example, err := os.ReadFile("../../deploy/stanch.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct {
			return
		}
		for i := range typ.NumField() {
			name := typ.Field(i).Tag.Get("yaml")
			if name != "-" && !strings.Contains(string(example), name+":") {
				t.Errorf("the example does not name %s of %s", name, typ)
			}
			walk(typ.Field(i).Type)
		}
	}
	walk(reflect.TypeFor[stanch.Config]())
}

func TestLoadOfNoFile(t *testing.T) {
	_, faults := stanch.Load(filepath.Join(t.TempDir(), "nothing.yaml"))
	if len(faults) != 1 || !strings.HasSuffix(faults[0].String(), "nothing.yaml: cannot be read: no such file or directory") {
		t.Errorf("got %v, want one fault that says so", faults)
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]stanch.Size{
		"0": 0, "7": 7, "7B": 7, "3KiB": 3 << 10, "25MiB": 25 << 20, "64GiB": 64 << 30, "1TiB": 1 << 40,
	} {
		var got stanch.Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: got %d and error %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5MiB", "1MB", "1 MiB", "8388608TiB", "9223372036854775808", "0x1F"} {
		var got stanch.Size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

// TestComposeConfigurations wants the configurations of the compose files to be right but for files that are elsewhere.
func TestComposeConfigurations(t *testing.T) {
	for _, file := range []string{"stanch.yaml", "cluster/stanch.yaml"} {
		_, faults := stanch.Load(filepath.Join("../../deploy/compose", file))
		for _, fault := range faults {
			if !strings.HasSuffix(fault.Text, "_file: no such file or directory") {
				t.Errorf("%s: %v", file, fault)
			}
		}
		if len(faults) == 0 {
			t.Errorf("%s names no file", file)
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
		c, faults := stanch.Parse("fuzz.yaml", []byte(text))
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
