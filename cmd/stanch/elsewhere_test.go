package main_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stanch/dispositions/ibmfake"
)

// TestElsewhere: serve and its commands run in another directory than that of the configuration, whose relative paths start at its
// own, as do the store and the keys that it does not name; a reload finds new files there too.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.work = t.TempDir()
	s.rewrite("stanch.yaml", "store: {embedded: {dir: data}}\nkeys_dir: keys\n", "")
	config := s.configFile()
	if out, err := s.command("check-config", config); err != nil {
		t.Fatalf("check-config: %v\n%s", err, out)
	}
	keys := s.population(1)
	s.start()
	s.wantPost("gh", keys[0], http.StatusNoContent)
	for _, made := range []string{"data", "keys"} {
		if _, err := os.Stat(filepath.Join(s.dir, made)); err != nil {
			t.Error(err)
		}
	}
	s.waitFor("a contained key", func() bool {
		out, err := s.command("incidents", "list", "-o", "json", "--config.file", config)
		return err == nil && strings.Contains(out, `"contained"`)
	})
	for _, args := range [][]string{{"doctor"}, {"explain", "--key-id", keys[0].id}, {"audit", "verify"}, {"notify", "test", "console"}} {
		if out, err := s.command(append(args, "--config.file", config)...); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	s.write("title", "in own words")
	s.rename("apikey", "apikey2")
	s.reloadsTo(strings.NewReplacer(
		"apikey_file: apikey", "apikey_file: ./apikey2", "type: console", "type: console, templates: {title_file: title}",
	).Replace(s.config()))
	if left, err := os.ReadDir(s.work); err != nil || len(left) > 0 {
		t.Errorf("in the working directory: %v, %v; want nothing", left, err)
	}
	s.rewrite("stanch.yaml", "title_file: title", "title_file: "+fmt.Sprintf("%q", filepath.Join(s.dir, "nothing")))
	if log := s.hangUp()(); !strings.Contains(log, "notifiers[0].templates.title_file: no such file or directory\"") {
		t.Errorf("a file that is not there, and the log says:\n%s", log)
	}
}
