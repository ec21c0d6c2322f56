package main_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
	"stanch/receiver/queue/soak"
)

// label is an entry of the answer to a delivery.
type label struct {
	Raw   string `json:"token_raw"`
	Hash  string `json:"token_hash"`
	Type  string `json:"token_type"`
	Label string `json:"label"`
}

// ask delivers records to a source that labels, and returns the labels by the token's hash.
func (s *site) ask(records []record) map[string]label {
	s.t.Helper()
	body, err := json.Marshal(records)
	if err != nil {
		s.t.Fatal(err)
	}
	status, answer := s.postBody(body, s.signer.GitHubHeader(body))
	var labels []label
	if err := json.Unmarshal([]byte(answer), &labels); err != nil || status != http.StatusOK {
		s.t.Fatalf("answered %d %q: %v", status, answer, err)
	}
	byHash := map[string]label{}
	for _, l := range labels {
		byHash[l.Hash] = l
	}
	return byHash
}

func hashOf(value leak.Secret) string {
	sum := sha256.Sum256([]byte(value.Reveal()))
	return hex.EncodeToString(sum[:])
}

// TestLabels tells GitHub what its tokens were: what an issuer knows or knew is a true positive, dead or alive; what none knows
// is a false one; of what nobody can tell nothing is said.
func TestLabels(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.rewrite("stanch.yaml", "type: github_partner,", "type: github_partner, feedback: token_hash,")
	s.start()
	value := func(n int) leak.Secret { return secret(fmt.Sprintf("%s%032d", plant, n)) }
	report := func(n int, kind string) record {
		return record{value(n).Reveal(), kind, fmt.Sprintf("https://example.com/%d", n), "commit"}
	}
	for n, k := range []ibmfake.Key{
		{Setting: "disable"}, {Setting: "delete"}, {Setting: "none"}, {Setting: "disable", Disabled: true}, {Setting: "delete", Locked: true},
	} {
		k.Value = value(n)
		s.iam.AddKey(k)
	}
	const mapped, unmapped = "ibm_cloud_iam_key", "other_key"
	all := []record{
		report(0, mapped), report(1, mapped), report(2, mapped), report(3, mapped), report(4, mapped),
		report(5, mapped), report(6, unmapped),
	}
	want := map[string]string{
		hashOf(value(0)): "true_positive", hashOf(value(1)): "true_positive", hashOf(value(2)): "true_positive",
		hashOf(value(3)): "true_positive", hashOf(value(4)): "true_positive", hashOf(value(5)): "false_positive",
	}
	for _, round := range []string{"the first time", "again, when some are deleted"} {
		got := s.ask(all)
		for hash, label := range want {
			if got[hash].Label != label || got[hash].Type != mapped || got[hash].Raw != "" {
				t.Errorf("%s: got %+v, want %s", round, got[hash], label)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: got %d labels, want %d: nobody can tell of the last", round, len(got), len(want))
		}
	}
	if out := gauge(s.get("/metrics"), `stanch_labels_total{label="untold",source="gh"}`); out != 2 {
		t.Errorf("got %d untold", out)
	}
	s.wantNothingPlanted()
}

// TestLabelsWhileTheIssuerIsDown says nothing when nobody can tell, and answers in time.
func TestLabelsWhileTheIssuerIsDown(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.rewrite("stanch.yaml", "type: github_partner,", "type: github_partner, feedback: token_raw,")
	s.start()
	s.iam.AddFault(ibmfake.Fault{Times: ibmfake.Forever, Delay: time.Hour})
	began := time.Now()
	got := s.ask([]record{{plant + "nobody", "ibm_cloud_iam_key", "https://example.com/1", "commit"}})
	if len(got) != 0 || soak.On() && time.Since(began) > 14*time.Second { // a quiet machine's time
		t.Errorf("got %v after %s, want nothing before GitHub hangs up", got, time.Since(began))
	}
}

// BenchmarkLabels delivers a thousand tokens at once and counts the labels that come within the budget, and the wrong ones,
// beside how fast the issuer is.
func BenchmarkLabels(b *testing.B) {
	for _, delay := range []time.Duration{0, 50 * time.Millisecond, 500 * time.Millisecond} {
		b.Run("issuer="+delay.String(), func(b *testing.B) {
			s := newSite(b, ibmfake.Switches{}, "policy: {fuse: {max: 100000}}\n")
			s.rewrite("stanch.yaml", "type: github_partner,", "type: github_partner, feedback: token_hash,")
			s.start()
			s.iam.AddFault(ibmfake.Fault{Times: ibmfake.Forever, Delay: delay})
			told, wrong, n := 0, 0, 0
			for b.Loop() {
				var records []record
				for range 1000 {
					value := secret(fmt.Sprintf("%s%032d", plant, n))
					if n%2 == 0 {
						s.iam.AddKey(ibmfake.Key{Setting: "disable", Value: value})
					}
					records = append(records, record{value.Reveal(), "ibm_cloud_iam_key", "https://example.com/1", "commit"})
					n++
				}
				got := s.ask(records)
				told += len(got)
				for i, r := range records {
					l, ok := got[hashOf(secret(r.Token))]
					if ok && (l.Label == "true_positive") != (i%2 == 0) {
						wrong++
					}
				}
			}
			b.ReportMetric(float64(told)/float64(b.N), "told/1000")
			b.ReportMetric(float64(wrong), "wrong")
		})
	}
}
