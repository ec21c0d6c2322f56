package leak

import (
	"fmt"
	"strings"
	"time"
)

// Abilities is what an opened issuer can do with its keys. Policy, fuse, explain, notices, doctor and the page read this one
// value; what cannot be done is never decided, announced or promised. The zero Abilities can only tell whose key it is.
type Abilities struct {
	Disable bool `json:"disable,omitempty"` // make a key useless
	Enable  bool `json:"enable,omitempty"`  // undo that
	Delete  bool `json:"delete,omitempty"`  // make it useless for good
	Read    bool `json:"read,omitempty"`    // say how a key stands now
	Prove   bool `json:"prove,omitempty"`   // try the leaked value as its finder would
	Lock    bool `json:"lock,omitempty"`    // lift and set the lock that keeps a key from being changed
	// ByValue is set when the issuer names a key only by the secret itself: without it nothing can be done or asked.
	ByValue bool `json:"by_value,omitempty"`
	// Control is set when a refusal of the leaked value means death only if the same value was accepted before.
	Control bool `json:"control,omitempty"`
	// Halves is set when a key leaks as two values, an id and a secret, each with an alert of its own: what leads to a key that has
	// an incident already joins that.
	Halves bool `json:"halves,omitempty"`
	// Batch is how many keys one call takes at most; 0 and 1: one.
	Batch int `json:"batch,omitempty"`
	// Settles is how long a change takes at most until it holds everywhere; 0: it holds at once.
	Settles time.Duration `json:"settles_ns,omitempty"`
	// TokensOutlive is how long tokens that were issued for a key outlive it.
	TokensOutlive Lifetime `json:"tokens_outlive,omitzero"`
}

// Can reports whether an action can be done at all. Doing nothing always can.
func (a Abilities) Can(action Action) bool {
	switch action {
	case Disable:
		return a.Disable
	case Enable:
		return a.Enable
	case Delete:
		return a.Delete
	}
	return true
}

// Strongest is the strongest action that can be done.
func (a Abilities) Strongest() Action {
	switch {
	case a.Delete:
		return Delete
	case a.Disable:
		return Disable
	}
	return Nothing
}

// String says in plain words what the issuer can do.
func (a Abilities) String() string {
	var can []string
	say := func(able bool, what string) {
		if able {
			can = append(can, what)
		}
	}
	say(a.Disable, "disable keys")
	say(a.Enable, "enable them again")
	say(a.Delete, "delete keys")
	say(a.Lock, "lock and unlock them")
	say(a.Read, "say how a key stands")
	say(a.Prove, "try the leaked value")
	say(a.Halves, "join the two halves of a credential")
	say(a.ByValue, "find a key by its value only")
	say(a.Batch > 1, fmt.Sprintf("take %d keys a call", a.Batch))
	say(a.Settles > 0, fmt.Sprintf("take up to %s until a change holds everywhere", a.Settles))
	if len(can) == 0 {
		return "only tell whose key it is"
	}
	return strings.Join(can, ", ")
}

// Lifetime is how long something lives. The zero Lifetime is not known, which differs from none at all.
type Lifetime struct {
	Known bool          `json:"known,omitempty"`
	Most  time.Duration `json:"most_ns,omitempty"`
}

// LivesFor is a known lifetime of at most d; 0: none.
func LivesFor(d time.Duration) Lifetime { return Lifetime{Known: true, Most: d} }
