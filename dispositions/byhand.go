package dispositions

import (
	"context"

	"stanch/receiver/leak"
)

// recognise finds the issuer that knows what a secret is which no issuer may see, without asking anybody.
func (m *Mandate) recognise(c leak.Content) (issuer, kind, byHand string, ok bool) {
	if len(m.candidates(c)) > 0 {
		return "", "", "", false
	}
	for _, configured := range m.Issuers {
		r, able := configured.Issuer.(Recogniser)
		if !able {
			continue
		}
		if kind, byHand, ok := r.Recognise(c); ok {
			return configured.Name, kind, byHand, true
		}
	}
	return "", "", "", false
}

// byHand ends an incident whose secret only a person can revoke. It pages: as far as anybody knows the secret works.
func (t *turn) byHand(ctx context.Context, issuer, kind, how string) error {
	if t.head.State == leak.Left && t.head.Rule == leak.RuleByHand {
		return t.record(ctx) // a new sighting of what a person was told to revoke
	}
	t.incident.Issuer, t.incident.Key = issuer, leak.Key{Kind: kind}
	t.decided(leftByHand(kind, how))
	return t.leave(ctx)
}

// leftByHand is what is decided about every secret that only a person can revoke.
func leftByHand(kind, how string) leak.Decision {
	return leak.Decision{
		Action: leak.Nothing, Rule: leak.RuleByHand, Severity: leak.Critical,
		Reason: "it is a " + kind + ", which no call looks up or revokes: only a person can; " + how,
	}
}
