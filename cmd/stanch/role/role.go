// Package role names the roles of a process: the parts of the service that can each run in processes of their own, any number of
// them, when the store is a cluster.
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

// Operator is the role of a command that creates the streams. It has the rights of no other role.
const Operator = "operator"

// Roles are the roles of a process. An empty list stands for all of them.
type Roles []string

var every = Roles{Receiver, Collector, Engine, Notifier}

// Names returns the roles by name, never an empty list.
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

// User returns the name of the process where each role has rights of its own: its role, or stanch when it has several.
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
			return fmt.Errorf("%s is given twice", role)
		}
		set = append(set, role)
	}
	*r = set
	return nil
}

// Flag adds the flag that names them.
func (r *Roles) Flag(f *pflag.FlagSet) {
	f.Var(r, "role", "the roles of the process, from "+strings.Join(every, ", ")+"; all by default")
}
