package main_test

import (
	"strings"
	"testing"

	"stanch/dispositions/ibmfake"
)

// TestExplainByHand asks about a secret that only a person can revoke: it is told as the engine decides it, and without asking
// the issuer.
func TestExplainByHand(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.write("delivery.json", `[{"token":"planted-classic","type":"ibm_softlayer_api_key","url":"https://example.com/"}]`)
	out, err := s.command("explain", "--config.file", "stanch.yaml", "--alert", "delivery.json")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"nothing (rule by_hand), severity critical", "classic infrastructure key", "only a person can", "paged"} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "planted-classic") || strings.Contains(out, "unknown") {
		t.Errorf("it shows the secret, or calls it unknown:\n%s", out)
	}
	if asked := s.iam.Requests(); len(asked) > 0 {
		t.Errorf("the issuer was asked: %v", asked)
	}
}
