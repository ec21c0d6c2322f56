package githubapi_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"stanch/receiver/collect"
	"stanch/receiver/github/githubapi"
	"stanch/receiver/github/githubclient"
)

// TestRefs: the API is only asked for refs that Parse can have written.
func TestRefs(t *testing.T) {
	var asked atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("our-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := githubclient.Config{URL: server.URL, TokenFile: path}
	vendor, err := githubapi.Open(config, "acme", "Acme", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	fetch := func(ref string) (path string, err error) {
		asked.Store("")
		_, err = vendor.Fetch(t.Context(), ref)
		return asked.Load().(string), err
	}
	for _, ref := range []string{"acme/shop/7", "acme/a..b/7", "acme/.github/1", "acme/_-./9223372036854775807"} {
		repo, number := ref[:strings.LastIndexByte(ref, '/')], ref[strings.LastIndexByte(ref, '/'):]
		if got, err := fetch(ref); got != "/repos/"+repo+"/secret-scanning/alerts"+number || errors.Is(err, collect.ErrRefused) {
			t.Errorf("%s: asked for %q and got %v", ref, got, err)
		}
	}
	for _, ref := range []string{
		"", "acme", "acme/shop", "acme/shop/", "acme/shop/7/", "acme/shop/7/8", "/shop/7", "acme//7", "other/shop/7",
		"ACME/shop/7", "acme/Shop/7", "acme/shop/07", "acme/shop/+7", "acme/shop/-7", "acme/shop/0", "acme/shop/7.0",
		"acme/shop/ 7", "acme/shop/9223372036854775808", "acme/../7", "acme/./7", "./shop/7", "../acme/shop/7", "acme/sh%2fop/7",
		"acme/shop?x/7", "acme/sh op/7", "acme/shöp/7", "acme/" + strings.Repeat("a", 101) + "/7",
	} {
		if got, err := fetch(ref); got != "" || !errors.Is(err, collect.ErrRefused) {
			t.Errorf("%q: asked for %q and got %v, want ErrRefused", ref, got, err)
		}
	}
}
