package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// The roles: parts of the service that can run in processes of their own, any number of each, when the store is a cluster.
const (
	receiving  = "receiver"
	collecting = "collector"
	deciding   = "engine"
	notifying  = "notifier"
)

// operating is the role of a command that lays out the store: it has none of the others'.
const operating = "operator"

// roles are those of a process. No role at all stands for every one.
type roles []string

var everyRole = roles{receiving, collecting, deciding, notifying}

// have reports whether a role is among them.
func (r roles) have(role string) bool { return len(r) == 0 || slices.Contains(r, role) }

// all reports whether no role is missing.
func (r roles) all() bool {
	return !slices.ContainsFunc(everyRole, func(role string) bool { return !r.have(role) })
}

// user is what the process is called where each role has rights of its own: its role, or stanch when it has several.
func (r roles) user() string {
	if len(r) == 1 {
		return r[0]
	}
	return "stanch"
}

// keyless reports whether they neither seal nor open anything.
func (r roles) keyless() bool { return len(r) == 1 && r.have(notifying) }

// String implements [pflag.Value].
func (r *roles) String() string { return strings.Join(*r, ",") }

// Type implements [pflag.Value].
func (r *roles) Type() string { return "roles" }

// Set implements [pflag.Value].
func (r *roles) Set(text string) error {
	var set roles
	for word := range strings.SplitSeq(text, ",") {
		role := strings.TrimSpace(word)
		switch {
		case !slices.Contains(everyRole, role):
			return errors.New("each " + oneOf(everyRole) + suggestion(role, everyRole))
		case slices.Contains(set, role):
			return fmt.Errorf("%s is there twice", role)
		}
		set = append(set, role)
	}
	*r = set
	return nil
}

// flag adds the flag that names them.
func (r *roles) flag(f *pflag.FlagSet) {
	f.Var(r, "role", "the roles of the process, of "+strings.Join(everyRole, ", ")+"; all by default")
}

// hold reports whether the roles need a file that a field of the configuration names. Each secret is for one role alone, so
// that nobody else has to have it.
func (r roles) hold(path string) bool {
	if !namesFile(path) {
		return true
	}
	list, field, _ := strings.Cut(path, "].")
	list, _, _ = strings.Cut(list, "[")
	switch {
	case list == "sources" && strings.HasPrefix(field, "api."):
		return r.have(collecting)
	case list == "sources", strings.HasPrefix(path, "web.public."):
		return r.have(receiving)
	case list == "issuers":
		return r.have(deciding)
	case list == "notifiers":
		return r.have(notifying)
	case path == "store.nats.creds_file", path == "store.nats.nkey_file", strings.HasPrefix(path, "web.private."):
		return !slices.Contains(r, operating) // who may be somebody else, and listens nowhere
	}
	return true
}
