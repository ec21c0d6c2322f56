// Package role names the parts of the service that can run in processes of their own, any number of each, when the store is a
// cluster; and which of them a process has.
package role

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"stanch/cmd/stanch/config/decode"
)

// The roles.
const (
	Receiver  = "receiver"  // takes deliveries
	Collector = "collector" // fetches what pointers point to
	Engine    = "engine"    // decides, acts and proves
	Notifier  = "notifier"  // tells people
)

// Operator is the role of a command that lays out the store: it has none of the others'.
const Operator = "operator"

// Roles are those of a process. No role at all stands for every one.
type Roles []string

var every = Roles{Receiver, Collector, Engine, Notifier}

// Names are the roles of the process, each by its name.
func (r Roles) Names() []string {
	if len(r) == 0 {
		return every
	}
	return r
}

// Have reports whether a role is among them.
func (r Roles) Have(role string) bool { return len(r) == 0 || slices.Contains(r, role) }

// All reports whether no role is missing.
func (r Roles) All() bool {
	return !slices.ContainsFunc(every, func(role string) bool { return !r.Have(role) })
}

// User is what the process is called where each role has rights of its own: its role, or stanch when it has several.
func (r Roles) User() string {
	if len(r) == 1 {
		return r[0]
	}
	return "stanch"
}

// Keyless reports whether they neither seal nor open anything.
func (r Roles) Keyless() bool { return len(r) == 1 && r.Have(Notifier) }

// String implements [pflag.Value].
func (r *Roles) String() string { return strings.Join(*r, ",") }

// Type implements [pflag.Value].
func (r *Roles) Type() string { return "roles" }

// Set implements [pflag.Value].
func (r *Roles) Set(text string) error {
	var set Roles
	for word := range strings.SplitSeq(text, ",") {
		role := strings.TrimSpace(word)
		switch {
		case !slices.Contains(every, role):
			return errors.New("each " + decode.OneOf(every, role))
		case slices.Contains(set, role):
			return fmt.Errorf("%s is there twice", role)
		}
		set = append(set, role)
	}
	*r = set
	return nil
}

// Flag adds the flag that names them.
func (r *Roles) Flag(f *pflag.FlagSet) {
	f.Var(r, "role", "the roles of the process, of "+strings.Join(every, ", ")+"; all by default")
}
