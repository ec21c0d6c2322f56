package policy_test

import (
	"fmt"
	"testing"

	"stanch/dispositions/policy"
	"stanch/receiver/leak"
)

// BenchmarkDecide tells what rules cost beside a decision without any: none of them matches, so all are asked.
func BenchmarkDecide(b *testing.B) {
	about := policy.Case{
		Issuer: "ibm", Key: leak.Key{ID: "ApiKey-1", Name: "ci", Kind: "service_id", Account: "acme", CreatedAt: present},
		Abilities: everything, Now: present,
		Alert:    policy.Alert{Source: "gh", SourceType: "github_partner", URL: "https://github.com/acme/app/blob/main/x.go", Place: "commit"},
		Incident: leak.Incident{SightingCount: 1, ReceivedAt: present},
	}
	for _, count := range []int{0, 10, 100} {
		b.Run(fmt.Sprintf("rules=%d", count), func(b *testing.B) {
			var config policy.Config
			for i := range count {
				config.Rules = append(config.Rules, policy.Rule{
					Name: fmt.Sprintf("r%d", i), Action: leak.Delete,
					When: fmt.Sprintf(`key.name.startsWith("team-%d-") && alert.url.contains("/team-%d/")`, i, i),
				})
			}
			p, faults := policy.New(config)
			if faults != nil {
				b.Fatal(faults)
			}
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(about)
			}
		})
	}
}

// BenchmarkNew tells how long a start and a reload wait for the rules.
func BenchmarkNew(b *testing.B) {
	config := policy.Config{Issuers: []policy.Issuer{able, modest, final}}
	for i := range 100 {
		config.Rules = append(config.Rules, policy.Rule{
			Name: fmt.Sprintf("r%d", i), Action: leak.Delete,
			When: fmt.Sprintf(`key.issuer == "ibm" && key.name.startsWith("team-%d-") && alert.url.contains("/team-%d/")`, i, i),
		})
	}
	for b.Loop() {
		if _, faults := policy.New(config); faults != nil {
			b.Fatal(faults)
		}
	}
}
