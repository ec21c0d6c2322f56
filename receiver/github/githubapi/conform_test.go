package githubapi_test

import (
	"testing"

	"stanch/receiver/collect/collecttest"
	"stanch/receiver/githubfake"
)

// ourHook is the hook of the organisation, or of the App, that delivers to the source.
var ourHook = githubfake.Hook{URL: "http://127.0.0.1:1/hooks/" + sourceName}

func TestVendorConforms(t *testing.T) {
	for name, o := range map[string]githubfake.Options{
		"github.com":        {},
		"Enterprise Server": {Enterprise: true, Switches: githubfake.Switches{Cursors: "never", Validity: "refused"}},
		"other answers": {Switches: githubfake.Switches{
			Cursors: "always", Limited: 429, Unchanged: 200, Validity: "ignored", CommentLimit: 280, Unreached: -1,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			collecttest.Run(t, collecttest.Harness{New: func(t *testing.T) collecttest.World {
				w := newWorld(t, o)
				w.AddHook(ourHook)
				return w.conforming()
			}})
		})
	}
}

func TestAppConforms(t *testing.T) {
	collecttest.Run(t, collecttest.Harness{New: func(t *testing.T) collecttest.World {
		w := newAppWorld(t, githubfake.Options{}, githubfake.App{Hook: ourHook})
		return w.conforming()
	}})
}
