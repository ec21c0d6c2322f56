package github_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stanch/receiver/github"
	"stanch/receiver/github/githubclient"
)

func TestHookConfigCheck(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret, token := write("secret", "0123456789abcdef\n"), write("token", "planted-token\n")
	pkcs1, pkcs8, elliptical := appKeys(t)
	good := github.HookConfig{
		SecretFiles: []string{secret}, Organization: "Acme-2", API: githubclient.Config{TokenFile: token},
	}
	app := func(id string, installation int, key string) func(*github.HookConfig) {
		return func(c *github.HookConfig) {
			c.API = githubclient.Config{App: &githubclient.AppConfig{ID: id, Installation: installation, PrivateKeyFile: write("key", key)}}
		}
	}
	secretIs := func(text string) func(*github.HookConfig) {
		return func(c *github.HookConfig) { c.SecretFiles = []string{secret, write("another", text)} }
	}
	urlIs := func(url string) func(*github.HookConfig) { return func(c *github.HookConfig) { c.API.URL = url } }
	for name, row := range map[string]struct {
		change func(*github.HookConfig)
		want   []string
	}{
		"smallest":               {func(*github.HookConfig) {}, nil},
		"nothing":                {func(c *github.HookConfig) { *c = github.HookConfig{} }, []string{"secret_files", "organization", "api"}},
		"a secret with blanks":   {secretIs("It's a Secret to Everybody\r\n"), nil},
		"the shortest secret":    {secretIs(strings.Repeat("é", 8)), nil},
		"an empty secret":        {secretIs("\n"), []string{"secret_files[1]"}},
		"a secret of blanks":     {secretIs(strings.Repeat(" ", 20)), []string{"secret_files[1]"}},
		"a short secret":         {secretIs("planted-token.."), []string{"secret_files[1]"}},
		"a secret of two lines":  {secretIs("planted-token-planted-token\nplanted-token\n"), []string{"secret_files[1]"}},
		"a secret of no text":    {secretIs("planted-token-planted-token\xff"), []string{"secret_files[1]"}},
		"a secret without end":   {secretIs(strings.Repeat("planted-token", 1000)), []string{"secret_files[1]"}},
		"no such secret":         {func(c *github.HookConfig) { c.SecretFiles = []string{secret, dir} }, []string{"secret_files[1]"}},
		"a path":                 {func(c *github.HookConfig) { c.Organization = "acme/.." }, []string{"organization"}},
		"dots":                   {func(c *github.HookConfig) { c.Organization = ".." }, []string{"organization"}},
		"an Enterprise Server":   {urlIs("https://ghe.example.com/api/v3/"), nil},
		"http to this machine":   {urlIs("http://127.0.0.1:8080"), nil},
		"http elsewhere":         {urlIs("http://api.example.com/planted-token"), []string{"api.url"}},
		"no URL":                 {urlIs("planted-token"), []string{"api.url"}},
		"a port alone":           {urlIs("https://:443/planted-token"), []string{"api.url"}},
		"a password":             {urlIs("https://u:planted-token@api.example.com/"), []string{"api.url"}},
		"a query":                {urlIs("https://api.example.com/?t=planted-token"), []string{"api.url"}},
		"a fragment":             {urlIs("https://api.example.com/#planted-token"), []string{"api.url"}},
		"no such token":          {func(c *github.HookConfig) { c.API.TokenFile = dir + "/planted-token" }, []string{"api.token_file"}},
		"an App":                 {app("Iv23liabc", 12, pkcs1), nil},
		"an App by its number":   {app("123456", 0, pkcs8), nil},
		"an App without numbers": {app("", -1, pkcs1), []string{"api.app.id", "api.app.installation"}},
		"a key of another kind":  {app("1", 1, elliptical), []string{"api.app.private_key_file"}},
		"a public key":           {app("1", 1, strings.ReplaceAll(pkcs1, "PRIVATE", "PUBLIC")[:200]), []string{"api.app.private_key_file"}},
		"no key":                 {app("1", 1, "planted-token"), []string{"api.app.private_key_file"}},
		"no key file": {func(c *github.HookConfig) {
			c.API = githubclient.Config{App: &githubclient.AppConfig{ID: "1"}}
		}, []string{"api.app.private_key_file"}},
		"no such key": {func(c *github.HookConfig) {
			c.API = githubclient.Config{App: &githubclient.AppConfig{ID: "1", PrivateKeyFile: dir}}
		}, []string{"api.app.private_key_file"}},
		"both": {func(c *github.HookConfig) { c.API.App = &githubclient.AppConfig{} }, []string{"api"}},
		"an App of nothing": {func(c *github.HookConfig) {
			c.API = githubclient.Config{App: &githubclient.AppConfig{}}
		}, []string{"api.app.id", "api.app.private_key_file"}},
		"swept always": {func(c *github.HookConfig) { c.Sweep = time.Millisecond }, []string{"sweep"}},
		"swept never":  {func(c *github.HookConfig) { c.Sweep = 25 * time.Hour }, []string{"sweep"}},
		"swept daily":  {func(c *github.HookConfig) { c.Sweep = 24 * time.Hour }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			config := good
			row.change(&config)
			var got []string
			config.Check(func(field, problem string) {
				got = append(got, field)
				if problem == "" || strings.Contains(problem, "planted-token") {
					t.Errorf("got the problem %q, want one that holds nothing secret", problem)
				}
			})
			if !slices.Equal(got, row.want) {
				t.Errorf("got faults in %q, want %q", got, row.want)
			}
		})
	}
}

// appKeys makes private keys as GitHub writes them, in the other form of the same, and of another kind.
func appKeys(t *testing.T) (pkcs1, pkcs8, elliptical string) {
	t.Helper()
	encode := func(kind string, der []byte, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 = encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key), nil)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	pkcs8 = encode("PRIVATE KEY", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(other)
	return pkcs1, pkcs8, encode("PRIVATE KEY", der, err)
}

// TestHookOpenReadsSecrets: the files are read when the source is opened, and a bad one is an error then.
func TestHookOpenReadsSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "planted-token")
	config := github.HookConfig{Organization: "acme", SecretFiles: []string{path}}
	for _, text := range []string{"", "\n", "planted-token"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Open("gh", nil, nil); err == nil || strings.Contains(err.Error(), "planted-token") {
			t.Errorf("%q: got %v from Open, want an error without the secret and the path", text, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Open("gh", nil, nil); err == nil || strings.Contains(err.Error(), "planted-token") {
		t.Errorf("got %v from Open without a file, want an error without the path", err)
	}
}

func TestHookSweepEvery(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{0: time.Hour, 5 * time.Minute: 5 * time.Minute} {
		if got := (&github.HookConfig{Sweep: given}).SweepEvery(); got != want {
			t.Errorf("got %v of %v, want %v", got, given, want)
		}
	}
}
