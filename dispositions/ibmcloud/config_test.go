package ibmcloud_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stanch/dispositions"
	"stanch/dispositions/ibmcloud"
	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

// ownKey is a key that no fake knows.
var ownKey = leak.NewSecret(value)

// value is a well-formed key for configurations.
const value = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdEf"

func TestCheck(t *testing.T) {
	good := ibmcloud.Auth{Type: "iam", APIKeyFile: keyFile(t, "  "+value+"\n")}
	missing := filepath.Join(t.TempDir(), "missing")
	for name, row := range map[string]struct {
		config ibmcloud.Config
		want   string // fields with a fault, in order
	}{
		"good":           {ibmcloud.Config{Auth: good}, ""},
		"no type":        {ibmcloud.Config{Auth: ibmcloud.Auth{APIKeyFile: good.APIKeyFile}}, ""},
		"https":          {ibmcloud.Config{URL: "https://private.iam.cloud.ibm.com", TokenURL: "https://x.example", Auth: good}, ""},
		"loopback":       {ibmcloud.Config{URL: "http://127.0.0.1:80", TokenURL: "http://localhost/", Auth: good}, ""},
		"loopback six":   {ibmcloud.Config{URL: "http://[::1]:80", Auth: good}, ""},
		"nothing":        {ibmcloud.Config{}, "auth.apikey_file"},
		"plain http":     {ibmcloud.Config{URL: "http://iam.example", TokenURL: "http://10.0.0.1", Auth: good}, "url token_url"},
		"no url":         {ibmcloud.Config{URL: "iam.cloud.ibm.com", TokenURL: "ftp://x", Auth: good}, "url token_url"},
		"broken url":     {ibmcloud.Config{URL: "https://[", TokenURL: "https://", Auth: good}, "url token_url"},
		"user":           {ibmcloud.Config{URL: "https://me:" + value + "@x.example", Auth: good}, "url"},
		"query":          {ibmcloud.Config{URL: "https://x.example?a=b", TokenURL: "https://x.example#a", Auth: good}, "url token_url"},
		"token_url only": {ibmcloud.Config{TokenURL: "https://x.example", Auth: good}, "url"},
		"other type":     {ibmcloud.Config{Auth: ibmcloud.Auth{Type: "basic", APIKeyFile: good.APIKeyFile}}, "auth.type"},
		"missing file":   {ibmcloud.Config{Auth: ibmcloud.Auth{APIKeyFile: missing}}, "auth.apikey_file"},
		"folder":         {ibmcloud.Config{Auth: ibmcloud.Auth{APIKeyFile: t.TempDir()}}, "auth.apikey_file"},
		"empty file":     {withKey(t, "\n"), "auth.apikey_file"},
		"two lines":      {withKey(t, value+"\n"+value), "auth.apikey_file"},
		"quotes":         {withKey(t, `"`+value+`"`), "auth.apikey_file"},
		"braces":         {withKey(t, `{"apikey":"`+value+`"}`), "auth.apikey_file"},
		"huge file":      {withKey(t, strings.Repeat("a", 5000)), "auth.apikey_file"},
		"all":            {ibmcloud.Config{URL: "x", TokenURL: "y", Auth: ibmcloud.Auth{Type: "z"}}, "url token_url auth.type auth.apikey_file"},
	} {
		t.Run(name, func(t *testing.T) { checkConfig(t, row.config, row.want) })
	}
}

func withKey(t *testing.T, content string) ibmcloud.Config {
	return ibmcloud.Config{Auth: ibmcloud.Auth{APIKeyFile: keyFile(t, content)}}
}

// checkConfig expects faults at fields, the same from Open, and the key in neither.
func checkConfig(t *testing.T, c ibmcloud.Config, want string) {
	var fields []string
	var text strings.Builder
	c.Check(func(field, problem string) {
		fields = append(fields, field)
		fmt.Fprintln(&text, field, problem)
	})
	if got := strings.Join(fields, " "); got != want {
		t.Errorf("faults at %q, want %q", got, want)
	}
	issuer, err := c.Open("ibm", slog.New(slog.DiscardHandler))
	if (err != nil) != (want != "") || (issuer == nil) != (want != "") {
		t.Errorf("Open returns %v and error %v", issuer, err)
	}
	if strings.Contains(text.String(), value) || err != nil && strings.Contains(err.Error(), value) {
		t.Error("the key is shown")
	}
}

// Open asks nobody: IAM may be down when stanch starts.
func TestOpenAsksNobody(t *testing.T) {
	f := startServer(t, ibmfake.Options{})
	open(t, f.URL(), ownKey)
	if requests := f.Requests(); len(requests) != 0 {
		t.Errorf("requests went out: %v", requests)
	}
}

// With url given and token_url not, our key goes to url and nowhere else.
func TestTokenURL(t *testing.T) {
	api, token := startServer(t, ibmfake.Options{}), startServer(t, ibmfake.Options{})
	for _, row := range []struct {
		tokenURL string
		want     [2]int
	}{{"", [2]int{1, 0}}, {token.URL(), [2]int{1, 1}}, {token.URL() + "/identity/token", [2]int{1, 2}}} {
		config := ibmcloud.Config{URL: api.URL(), TokenURL: row.tokenURL}
		config.Auth.APIKeyFile = keyFile(t, ownKey.Reveal())
		issuer, err := config.Open("ibm", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		_, _ = issuer.(dispositions.Reader).Read(t.Context(), named("ApiKey-00000000-0000-0000-0000-000000000000")) // no server knows the key
		if got := [2]int{api.Requests()[tokenRoute], token.Requests()[tokenRoute]}; got != row.want {
			t.Errorf("token_url %q: %v token requests, want %v", row.tokenURL, got, row.want)
		}
	}
}

// The key file is read anew by each Open.
func TestOpenReadsKeyFile(t *testing.T) {
	config := withKey(t, value)
	if _, err := config.Open("ibm", slog.New(slog.DiscardHandler)); err != nil {
		t.Fatalf("Open: %v", err)
	}
	if err := os.Remove(config.Auth.APIKeyFile); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Open("ibm", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("Open works without a key file")
	}
}
