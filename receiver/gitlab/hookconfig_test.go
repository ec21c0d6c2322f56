package gitlab_test

import (
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"stanch/receiver/gitlab"
	"stanch/receiver/gitlab/gitlabclient"
)

func TestHookConfigCheck(t *testing.T) {
	files := writeFiles(t, signingToken+"\n", secretToken[2:8]+"\n", "glpat-planted-token-4f1c\n")
	good := gitlab.HookConfig{
		SigningTokenFiles: files[:1], Group: "Acme/platform", API: gitlabclient.Config{TokenFile: files[2]},
	}
	signing := func(text string) func(*gitlab.HookConfig) {
		return func(c *gitlab.HookConfig) { c.SigningTokenFiles = append(files[:1:1], writeFiles(t, text)...) }
	}
	urlIs := func(url string) func(*gitlab.HookConfig) { return func(c *gitlab.HookConfig) { c.API.URL = url } }
	groupIs := func(group string) func(*gitlab.HookConfig) { return func(c *gitlab.HookConfig) { c.Group = group } }
	short := "whsec_" + base64.StdEncoding.EncodeToString([]byte(planted))
	for name, row := range map[string]struct {
		change func(*gitlab.HookConfig)
		want   []string
	}{
		"smallest":  {func(*gitlab.HookConfig) {}, nil},
		"nothing":   {func(c *gitlab.HookConfig) { *c = gitlab.HookConfig{} }, []string{"signing_token_files", "group", "api.token_file"}},
		"an older":  {func(c *gitlab.HookConfig) { c.SigningTokenFiles, c.SecretTokenFiles = nil, files[1:2] }, nil},
		"both":      {func(c *gitlab.HookConfig) { c.SecretTokenFiles = files[1:2] }, nil},
		"two of it": {signing(otherToken), nil},

		"no prefix":           {signing(signingToken[len("whsec_"):]), []string{"signing_token_files[1]"}},
		"another prefix":      {signing("whpk_" + signingToken[len("whsec_"):]), []string{"signing_token_files[1]"}},
		"the prefix alone":    {signing("whsec_"), []string{"signing_token_files[1]"}},
		"no base64":           {signing("whsec_planted-token-4f1c"), []string{"signing_token_files[1]"}},
		"a short key":         {signing(short), []string{"signing_token_files[1]"}},
		"the published one":   {signing(vectorToken), []string{"signing_token_files[1]"}},
		"an empty file":       {signing("\n"), []string{"signing_token_files[1]"}},
		"no such file":        {func(c *gitlab.HookConfig) { c.SigningTokenFiles = []string{planted} }, []string{"signing_token_files[0]"}},
		"no such secret":      {func(c *gitlab.HookConfig) { c.SecretTokenFiles = []string{planted} }, []string{"secret_token_files[0]"}},
		"a secret in words":   {func(c *gitlab.HookConfig) { c.SecretTokenFiles = writeFiles(t, planted+" x") }, []string{"secret_token_files[0]"}},
		"no group":            {groupIs(""), []string{"group"}},
		"a slash before":      {groupIs("/acme"), []string{"group"}},
		"a slash behind":      {groupIs("acme/"), []string{"group"}},
		"an address":          {groupIs("https://gitlab.com/planted-token-4f1c"), []string{"group"}},
		"dots":                {groupIs("acme/.."), []string{"group"}},
		"an own instance":     {urlIs("https://gitlab.example.org"), nil},
		"with the API's path": {urlIs("https://gitlab.example.org/gitlab/api/v4/"), nil},
		"http to this":        {urlIs("http://127.0.0.1:8080"), nil},
		"http elsewhere":      {urlIs("http://gitlab.example.org/planted-token-4f1c"), []string{"api.url"}},
		"no URL":              {urlIs(planted), []string{"api.url"}},
		"a password":          {urlIs("https://u:planted-token-4f1c@gitlab.example.org/"), []string{"api.url"}},
		"a query":             {urlIs("https://gitlab.example.org/?private_token=planted-token-4f1c"), []string{"api.url"}},
		"no such token":       {func(c *gitlab.HookConfig) { c.API.TokenFile = planted }, []string{"api.token_file"}},
	} {
		config := good
		row.change(&config)
		wantFaults(t, name, &config, row.want)
	}
}

// TestHookOpenReadsTokens: the files are read when the source is opened, and a bad one is an error then.
func TestHookOpenReadsTokens(t *testing.T) {
	for _, text := range []string{"", planted, "whsec_" + planted} {
		files := writeFiles(t, signingToken, text)
		for name, config := range map[string]gitlab.HookConfig{
			"signing": {Group: "acme", SigningTokenFiles: files},
			"secret":  {Group: "acme", SecretTokenFiles: append(writeFiles(t, "good"), files[1]+"/none")},
		} {
			_, err := config.Open("gl", nil, nil)
			if err == nil || strings.Contains(err.Error(), planted) || strings.Contains(err.Error(), os.TempDir()) {
				t.Errorf("%s %q: got %v from Open, want an error without the token and the path", name, text, err)
			}
		}
	}
}
