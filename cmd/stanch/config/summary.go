package config

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/common/model"

	"stanch/cmd/stanch/role"
	"stanch/receiver/leak"
)

// Summarise prints what a configuration comes to, in words.
func (c *Config) Summarise(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	row := func(name, text string) { _, _ = fmt.Fprintf(table, "  %s:\t%s\n", name, text) }
	row("sources", entries(c.Sources, "none"))
	row("issuers", entries(c.Issuers, "none"))
	row("notifiers", entries(c.Notifiers, "none, so nobody is told"))
	if c.roles.Have(role.Engine) {
		for _, i := range c.abilities {
			row(i.Name+" can", i.String()+unable(i.Abilities))
		}
	}
	row("policy", c.Policy.String())
	for _, r := range c.Policy.Rules {
		row("rule", r.String())
	}
	row("fuse", fmt.Sprintf("at most %d keys of an account within %s; the rest waits for a person", c.Policy.Fuse.Max, duration(c.Policy.Fuse.Per)))
	row("retention", duration(c.Retention)+" for the places where keys were seen")
	return table.Flush()
}

// unable says what becomes of the actions that an issuer cannot do.
func unable(able leak.Abilities) string {
	switch {
	case !able.Disable && !able.Delete:
		return "; nothing is ever done to its keys"
	case !able.Disable:
		return "; it cannot disable a key: what policy would disable waits until a person approves to delete it"
	case !able.Delete:
		return "; it cannot delete a key: what policy would delete is disabled"
	}
	return ""
}

func entries[E fmt.Stringer](list []E, none string) string {
	if len(list) == 0 {
		return none
	}
	words := make([]string, len(list))
	for i, e := range list {
		words[i] = e.String()
	}
	return strings.Join(words, ", ")
}

// String is the source's name and type.
func (s Source) String() string { return s.Name + " (" + s.Type + ")" }

// String is the issuer's name and type.
func (i Issuer) String() string { return i.Name + " (" + i.Type + ")" }

// String is the notifier's name and type.
func (n Notifier) String() string { return n.Name + " (" + n.Type + ")" }

// String is the policy in words.
func (p Policy) String() string {
	words := []string{
		"the key's own setting decides",
		"no setting: " + string(p.Default),
		"set to \"none\": " + string(p.KeyNone),
	}
	if n := len(p.Rules); n > 0 {
		words[0] = fmt.Sprintf("rules first: %d; then %s", n, words[0])
	}
	if p.Unlock {
		words = append(words, "locked key: unlock it and act")
	} else {
		words = append(words, "locked key: page somebody")
	}
	if n := len(p.Protect); n > 0 {
		words = append(words, fmt.Sprintf("protected keys: %d", n))
	}
	if p.DryRun {
		words = append(words, "dry run, so no key is touched")
	}
	return strings.Join(words, "; ")
}

// String is the rule's name and what it orders.
func (r Rule) String() string {
	text := r.Name + ": " + string(r.Action)
	if r.Approval {
		text += " after approval"
	}
	if r.Severity != "" {
		text += ", " + string(r.Severity)
	}
	return text
}

func duration(d time.Duration) string { return model.Duration(d).String() }
