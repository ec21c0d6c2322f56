package ibmcloud_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"stanch/dispositions"
	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

// TestAdvice: people are told what a key was made for and how to replace it, as testdata/advice.txt has it.
func TestAdvice(t *testing.T) {
	adviser := start(t, ibmfake.Switches{}).issuer.(dispositions.Adviser)
	const id = "ApiKey-1c2d3e4f-0000-4000-8000-123456789abc"
	var got strings.Builder
	for _, row := range []struct {
		what string
		key  leak.Key
	}{
		{"a service ID's key", leak.Key{ID: id, Name: "ci-deploy", Kind: "service_id", Owner: "iam-ServiceId-77"}},
		{"a user's key", leak.Key{ID: id, Name: "laptop", Kind: "user", Owner: "IBMid-110000AB1Z"}},
		{"a name that is no plain word", leak.Key{ID: id, Name: "a; $(reboot)", Kind: "service_id", Owner: "`reboot`"}},
		{"a name that is an option", leak.Key{ID: id, Name: "--output", Kind: "user"}},
		{"a cluster's key, by its owner", leak.Key{ID: id, Name: "registry", Kind: "service_id", OwnerName: "cluster-ck0a5faw0bm3lnln95lg"}},
		{"a cluster's key, by its name", leak.Key{ID: id, Name: "cluster-ck0a5faw0bm3lnln95lg", Kind: "service_id"}},
		{"nearly a cluster's key", leak.Key{ID: id, Name: "cluster-$(reboot)", Kind: "user"}},
		{"the key of a region's clusters", leak.Key{ID: id, Name: "containers-kubernetes-key", Kind: "user"}},
		{"a service credential's key", leak.Key{ID: id, Name: "auto-generated-apikey-0b1c2d3e-0000-4000-8000-123456789abc", Kind: "service_id"}},
		{"a kind that is new", leak.Key{ID: id, Name: "new", Kind: "robot"}},
		{"no key", leak.Key{Kind: "classic infrastructure key"}},
	} {
		a := adviser.Advise(row.key)
		fmt.Fprintln(&got, row.what)
		if a.Breaks != "" {
			fmt.Fprintf(&got, "  breaks: %s\n", a.Breaks)
		}
		if a.Replace != "" {
			fmt.Fprintf(&got, "  replace: %s\n", a.Replace)
		}
		for i, step := range a.Steps {
			fmt.Fprintf(&got, "  %d. %s\n", i+1, step.Text)
			if step.Gone != "" {
				fmt.Fprintf(&got, "     gone: %s\n", step.Gone)
			}
		}
	}
	want, err := os.ReadFile("testdata/advice.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}
