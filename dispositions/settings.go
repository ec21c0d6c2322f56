package dispositions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"stanch/dispositions/admit"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
)

// Settings is what an operator configured an engine to do. It is swapped as a whole, and not changed once an engine has it.
type Settings struct {
	Issuers []Configured // asked in this order
	Policy  *policy.Policy
	Fuse    admit.FuseLimit   // the zero limit is admit.DefaultFuse
	Sources map[string]string // the type of each configured source, by its name; rules may look at it
}

// Configured is an issuer with what the operator says of it.
type Configured struct {
	Name   string
	Issuer Issuer
	// TokenTypes and Pattern say which secrets may be shown to the issuer: those that a source calls by one of the
	// types, and those whose whole value matches. With neither it is shown none.
	TokenTypes []string
	Pattern    *regexp.Regexp
	// Accounts are those whose keys may be acted on; empty: any.
	Accounts []string
	// Rate bounds the reconciles that ask the issuer, or, where one call takes many keys, those calls.
	Rate admit.Rate
	// InFlight is how many reconciles ask the issuer at once, at most MaxInFlight; 0: as many as the engine has workers.
	InFlight int
}

// MaxInFlight is how many reconciles can ask one issuer at once.
const MaxInFlight = 1000

// inForce is settings as an engine works by them.
type inForce struct {
	Settings
	connections []connection
	pool        int             // alerts that are worked on at once
	over        context.Context // ends when the engine does, or has new settings
	retire      context.CancelFunc
}

// connect makes settings ready to work by, each issuer with a limiter of its own. The pool is one alert for each reconcile that
// the issuers take, and where there are several some more, so that there are some for another issuer when one is slow.
func connect(over context.Context, s Settings, workers int) *inForce {
	f := &inForce{Settings: s}
	f.over, f.retire = context.WithCancel(over)
	for _, c := range s.Issuers {
		c = c.sized(workers)
		f.pool += c.InFlight
		f.connections = append(f.connections, c.open(f.over, len(s.Issuers) == 1))
	}
	if len(s.Issuers) != 1 {
		f.pool += workers
	}
	return f
}

// plain makes settings ready to ask by for somebody who is no engine: without limits.
func plain(s Settings) *inForce {
	f := &inForce{Settings: s}
	for _, c := range s.Issuers {
		f.connections = append(f.connections, connection{Configured: c.anchored()})
	}
	return f
}

// remembers is how far back an engine reads the log before it works: what the fuse counts, and where keys leak as two values the
// other half.
func (f *inForce) remembers() time.Duration {
	for _, c := range f.connections {
		if c.Issuer.Abilities().Halves {
			return max(f.Fuse.Per, halvesSince)
		}
	}
	return f.Fuse.Per
}

// sized fills in how many reconciles ask the issuer at once: enough to fill a call where one takes many keys.
func (c Configured) sized(workers int) Configured {
	c.InFlight = min(cmp.Or(c.InFlight, max(workers, c.Issuer.Abilities().Batch)), MaxInFlight)
	return c
}

// open connects an issuer for an engine.
func (c Configured) open(over context.Context, alone bool) connection {
	opened, limit := connection{Configured: c.anchored()}, admit.Limit{InFlight: c.InFlight, Rate: c.Rate, Alone: alone}
	if able := c.Issuer.Abilities(); able.Batch > 1 {
		opened.batch = admit.NewBatch(over, able.Batch, limit.Rate, opened.actOnMany)
		limit.Rate = admit.Rate{}
	}
	opened.limiter = admit.NewLimiter(over, limit)
	return opened
}

// anchored makes the pattern match a whole value or nothing.
func (c Configured) anchored() Configured {
	if c.Pattern != nil {
		c.Pattern = regexp.MustCompile(`\A(?:` + c.Pattern.String() + `)\z`) // it compiled without
	}
	return c
}

// issuer is the issuer of a name.
func (f *inForce) issuer(name string) (connection, bool) {
	i := slices.IndexFunc(f.connections, func(c connection) bool { return c.Name == name })
	if i < 0 {
		return connection{}, false
	}
	return f.connections[i], true
}

// candidates are the issuers that a secret may be shown to.
func (f *inForce) candidates(c leak.Content) []connection {
	var found []connection
	for _, issuer := range f.connections {
		byType := slices.Contains(issuer.TokenTypes, c.Type)
		byPattern := issuer.Pattern != nil && issuer.Pattern.MatchString(c.Secret.Reveal())
		if byType || byPattern {
			found = append(found, issuer)
		}
	}
	return found
}

// locate asks each issuer that may see the secret. That one of them could not answer matters only if no other knows it.
func (f *inForce) locate(ctx context.Context, c leak.Content) (connection, leak.Key, error) {
	candidates := f.candidates(c)
	if len(candidates) == 0 {
		return connection{}, leak.Key{}, fmt.Errorf("no issuer is configured for this type of token: %w", leak.ErrNotFound)
	}
	var unresolved, hidden error
	for _, issuer := range candidates {
		key, err := issuer.locate(ctx, c.Secret)
		switch {
		case err == nil:
			return issuer, key, nil
		case errors.Is(err, leak.ErrNotFound):
		case errors.Is(err, leak.ErrNotVisible):
			hidden = fmt.Errorf("asking %s: %w", issuer.Name, err)
		default:
			unresolved = fmt.Errorf("asking %s: %w", issuer.Name, err)
		}
	}
	return connection{}, leak.Key{}, cmp.Or(unresolved, hidden, leak.ErrNotFound)
}

// recognise finds the issuer that knows what a secret is which no issuer may see, without asking anybody.
func (f *inForce) recognise(c leak.Content) (issuer, kind, byHand string, ok bool) {
	if len(f.candidates(c)) > 0 {
		return "", "", "", false
	}
	for _, configured := range f.connections {
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

// decide asks policy about a key of an issuer. What the alert says may be empty.
func (f *inForce) decide(issuer connection, i leak.Incident, source string, c leak.Content) (leak.Decision, []policy.Look) {
	d, looked := f.Policy.Decide(policy.Case{
		Issuer: issuer.Name, Key: i.Key, Accounts: issuer.Accounts, Abilities: issuer.Issuer.Abilities(),
		Alert: policy.Alert{
			Source: source, SourceType: f.Sources[source], Type: c.Type, URL: c.URL, Place: c.Place,
			Marks: c.Marks,
		},
		Incident: i, Now: time.Now(),
	})
	d.Severity = urgent(d.Severity, c.Marks)
	return d, looked
}

// urgent raises a severity by one when the source knows that the leak is worse than most.
func urgent(s leak.Severity, m leak.Marks) leak.Severity {
	switch {
	case !m.Worse():
		return s
	case s == leak.Info:
		return leak.Warning
	}
	return leak.Critical
}

// leftByHand is what is decided about every secret that only a person can revoke.
func leftByHand(kind, how string) leak.Decision {
	return leak.Decision{
		Action: leak.Nothing, Rule: leak.RuleByHand, Severity: leak.Critical,
		Reason: "it is a " + kind + ", which no call looks up or revokes: only a person can; " + how,
	}
}
