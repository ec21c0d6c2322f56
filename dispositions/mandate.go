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

// Mandate is what an operator configured an engine to do. It is not changed once an engine has it.
type Mandate struct {
	Issuers []Configured // asked in this order
	Policy  *policy.Policy
	Fuse    admit.FuseLimit   // the zero limit is admit.DefaultFuse
	Sources map[string]string // the type of each configured source, by its name; rules may look at it

	// The rest is set by the engine that works by it.
	hands  int             // alerts in hand at once
	over   context.Context // ends when the engine does, or works by another one
	retire context.CancelFunc
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
	// Rate is how many turns a second the issuer is given; 0: as many as there are.
	Rate float64
	// InFlight is how many turns the issuer is given at once, at most MaxInFlight; 0: as many as the engine has workers.
	InFlight int

	limiter *admit.Limiter // of an engine; nil: nobody else asks
}

// MaxInFlight is how many turns an issuer can be given at once.
const MaxInFlight = 1000

// read asks the issuer for a key, when it may be asked.
func (c Configured) read(ctx context.Context, id string) (key leak.Key, err error) {
	err = c.limiter.Do(ctx, func() error {
		key, err = c.Issuer.Read(ctx, id)
		return err
	})
	return key, err
}

// locate asks the issuer whose key a secret is, when it may be asked.
func (c Configured) locate(ctx context.Context, secret leak.Secret) (key leak.Key, err error) {
	err = c.limiter.Do(ctx, func() error {
		key, err = c.Issuer.Locate(ctx, secret)
		return err
	})
	return key, err
}

// assign gives each issuer a limiter of its own, and says how many alerts are in hand at once: one for each turn that the issuers
// take, and where there are several some more, so that there are some for another issuer when one is slow.
func (m *Mandate) assign(workers int) {
	m.hands = 0
	for i := range m.Issuers {
		issuer := &m.Issuers[i]
		issuer.InFlight = min(cmp.Or(issuer.InFlight, workers), MaxInFlight)
		issuer.limiter = admit.NewLimiter(m.over, admit.Limit{
			InFlight: issuer.InFlight, Rate: issuer.Rate, Alone: len(m.Issuers) == 1,
		})
		m.hands += issuer.InFlight
	}
	if len(m.Issuers) != 1 {
		m.hands += workers
	}
}

// issuer is the issuer of a name.
func (m *Mandate) issuer(name string) (Configured, bool) {
	i := slices.IndexFunc(m.Issuers, func(c Configured) bool { return c.Name == name })
	if i < 0 {
		return Configured{}, false
	}
	return m.Issuers[i], true
}

// candidates are the issuers that a secret may be shown to.
func (m *Mandate) candidates(c leak.Content) []Configured {
	var found []Configured
	for _, issuer := range m.Issuers {
		byType := slices.Contains(issuer.TokenTypes, c.Type)
		byPattern := issuer.Pattern != nil && issuer.Pattern.MatchString(c.Secret.Reveal())
		if byType || byPattern {
			found = append(found, issuer)
		}
	}
	return found
}

// locate asks each issuer that may see the secret. That one of them could not answer matters only if no other knows it.
func (m *Mandate) locate(ctx context.Context, c leak.Content) (Configured, leak.Key, error) {
	candidates := m.candidates(c)
	if len(candidates) == 0 {
		return Configured{}, leak.Key{}, fmt.Errorf("no issuer is configured for this type of token: %w", leak.ErrNotFound)
	}
	var unresolved error
	for _, issuer := range candidates {
		key, err := issuer.locate(ctx, c.Secret)
		if err == nil {
			return issuer, key, nil
		}
		if !errors.Is(err, leak.ErrNotFound) {
			unresolved = fmt.Errorf("asking %s: %w", issuer.Name, err)
		}
	}
	if unresolved != nil {
		return Configured{}, leak.Key{}, unresolved
	}
	return Configured{}, leak.Key{}, leak.ErrNotFound
}

// ask asks policy about a key of an issuer. What the alert says may be empty.
func (m *Mandate) ask(issuer Configured, i leak.Incident, source string, c leak.Content) (leak.Decision, []policy.Look) {
	d, looked := m.Policy.Decide(policy.Case{
		Issuer: issuer.Name, Key: i.Key, Accounts: issuer.Accounts, Strongest: Abilities(issuer.Name, issuer.Issuer).Strongest,
		Alert: policy.Alert{
			Source: source, SourceType: m.Sources[source], Type: c.Type, URL: c.URL, Place: c.Place,
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

// Abilities is what rules must know of an issuer: how far it can go with a key.
func Abilities(name string, issuer Issuer) policy.Issuer {
	able := policy.Issuer{Name: name, Strongest: leak.Nothing}
	_, disables := issuer.(Disabler)
	if disables {
		able.Strongest = leak.Disable
	}
	if _, ok := issuer.(Deleter); ok {
		able.Strongest, able.DeleteOnly = leak.Delete, !disables
	}
	_, able.Unlocks = issuer.(Locker)
	return able
}

// anchored makes every pattern match a whole value or nothing.
func anchored(issuers []Configured) []Configured {
	issuers = slices.Clone(issuers)
	for i, issuer := range issuers {
		if issuer.Pattern != nil {
			issuers[i].Pattern = regexp.MustCompile(`\A(?:` + issuer.Pattern.String() + `)\z`) // it compiled without
		}
	}
	return issuers
}
