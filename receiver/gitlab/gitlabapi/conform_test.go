package gitlabapi_test

import (
	"fmt"
	"testing"

	"stanch/receiver/collect/collecttest"
	"stanch/receiver/gitlabfake"
)

// TestVendorConforms: in every position of the fake's switches, but where it keeps no comments.
func TestVendorConforms(t *testing.T) {
	for n, s := range gitlabfake.Positions() {
		if s.NoComment {
			continue
		}
		t.Run(fmt.Sprintf("position %d", n), func(t *testing.T) {
			t.Parallel()
			collecttest.Run(t, collecttest.Harness{New: func(t *testing.T) collecttest.World {
				w := newWorld(t, gitlabfake.Options{Switches: s})
				w.AddHook(ourHook)
				return w.conforming()
			}})
		})
	}
}
