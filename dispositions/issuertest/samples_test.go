package issuertest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"stanch/dispositions"
	"stanch/dispositions/issuertest"
	"stanch/dispositions/issuertest/sample"
	"stanch/receiver/leak"
)

// settles is how long the changes of a sample take, where they do.
const settles = 5 * time.Millisecond

// The three samples differ most: what the suite asks of an issuer it asks of one of them at least.
var samples = map[string]func() (dispositions.Issuer, *sample.Site){
	"full":          func() (dispositions.Issuer, *sample.Site) { s := sample.NewFull(0); return s, s.Site },
	"full, settles": func() (dispositions.Issuer, *sample.Site) { s := sample.NewFull(settles); return s, s.Site },
	"delete only":   func() (dispositions.Issuer, *sample.Site) { s := sample.NewDeleteOnly(); return s, s.Site },
	"by value":      func() (dispositions.Issuer, *sample.Site) { s := sample.NewByValue(settles, 3); return s, s.Site },
}

func TestSamples(t *testing.T) {
	for name, open := range samples {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuertest.Run(t, issuertest.Harness{New: func(*testing.T) issuertest.World {
				issuer, site := open()
				return world(issuer, site)
			}})
		})
	}
}

// url is where the samples say that they are, to be looked for in errors.
const url = "https://sample.example/keys"

// world is an issuer on the far side of a sample.
func world(issuer dispositions.Issuer, site *sample.Site) issuertest.World {
	w := issuertest.World{
		Issuer: issuer,
		AddKey: func(locked bool) dispositions.Target { return site.Add(leak.Key{Name: "leaked", Locked: locked}) },
		State: func(t dispositions.Target) issuertest.State {
			k := site.Standing(t)
			return issuertest.State{Disabled: k.Disabled, Locked: k.Locked, Gone: k.Gone}
		},
		Unknown: dispositions.Target{Key: leak.Key{ID: "nobody"}, Secret: leak.NewSecret("planted-of-nobody")},
		Own:     site.Own(),
		URL:     url,
		Break:   func(how issuertest.Breakage) { breakAs(site, how) },
		Mend: func() {
			site.Spoil(nil)
			site.Lie(false)
			site.Refuse("")
		},
	}
	if issuer.Abilities().Settles > 0 {
		w.Settle = func() { time.Sleep(settles) }
	}
	return w
}

// waits are how long a sample asks to wait.
var waits = map[issuertest.Breakage]time.Duration{
	issuertest.Throttle: issuertest.RetryAfter, issuertest.ThrottleAbsurdly: time.Hour, issuertest.ThrottleNegative: 0,
	issuertest.ThrottleGarbage: 0, issuertest.ThrottleUntil: time.Hour,
}

// breakAs makes a far side fail. In memory there is one way to give no answer that anybody can read.
func breakAs(site *sample.Site, how issuertest.Breakage) {
	answer := errors.New(string(how))
	switch how {
	case issuertest.Lie:
		site.Lie(true)
		return
	case issuertest.Stranger:
		site.Refuse("STRANGER")
		return
	case issuertest.Credential, issuertest.Forbidden:
		answer = leak.ErrCredential
	}
	if wait, ok := waits[how]; ok {
		answer = &leak.Throttled{After: wait, Err: answer}
	}
	ours := errors.Is(answer, leak.ErrCredential)
	site.Spoil(func(ctx context.Context, op string, after bool) error {
		switch {
		case after != (how == issuertest.Committed), ours && op == "Try":
			return nil
		case how == issuertest.Hang:
			<-ctx.Done()
			return ctx.Err()
		}
		return answer
	})
}
