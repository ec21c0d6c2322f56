package gitlabhooks_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stanch/receiver/gitlab/gitlabclient"
	"stanch/receiver/gitlab/gitlabhooks"
	"stanch/receiver/gitlabfake"
	"stanch/receiver/leak"
)

// sourceName is what the source is called in these tests; its hooks deliver to a URL that ends with it.
const sourceName = "acme-hooks"

// ourHook is the group's hook that delivers to the source, where nobody listens.
var ourHook = gitlabfake.Hook{URL: "http://127.0.0.1:1/hooks/" + sourceName}

// world is a fake GitLab, and the hooks there that deliver to a source.
type world struct {
	*gitlabfake.Server
	hooks  *gitlabhooks.Hooks
	config gitlabclient.Config
	token  leak.Secret
	log    *strings.Builder
}

// newWorld starts a fake with the group acme, and a token that may do everything there.
func newWorld(t *testing.T, o gitlabfake.Options) *world {
	t.Helper()
	server, err := gitlabfake.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	w := &world{Server: server, log: new(strings.Builder)}
	w.AddProject("Acme/Shop")
	w.token = w.AddToken(gitlabfake.Token{Name: "ours", Login: "stanch-bot"})
	w.config = gitlabclient.Config{URL: server.URL(), TokenFile: writeFile(t, w.token.Reveal())}
	w.open(t)
	return w
}

// open looks at the hooks as if for the first time.
func (w *world) open(t *testing.T) {
	t.Helper()
	client, err := gitlabclient.Open(w.config)
	if err != nil {
		t.Fatal(err)
	}
	w.hooks = gitlabhooks.New(client, sourceName, "acme", slog.New(slog.NewTextHandler(w.log, nil)))
}

// silent fails the test if the log or a text shows a secret.
func (w *world) silent(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range append(texts, w.log.String()) {
		for _, value := range []string{w.token.Reveal(), "glpat-", "://", "DEBUG"} {
			if strings.Contains(text, value) {
				t.Errorf("%q is shown in %q", value, text)
			}
		}
	}
}

// writeFile writes a text into a file of its own, and returns its path.
func writeFile(tb testing.TB, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}
