// Package when is the language of a notifier's condition: CEL over an incident as it stands after the step that is told. The
// engine's rules are another language: they decide what is done to a key, and are examined for what a leaker could lower; a
// condition only decides who is told.
package when

import (
	"fmt"

	"cel.dev/cel-go/cel"

	"stanch/receiver/leak"
	"stanch/receiver/leak/expr"
)

// Condition says which incidents a notifier is told of. It is safe for concurrent use.
type Condition struct{ expression *expr.Expression[*subject] }

// subject is what a condition can read.
type subject struct {
	incident   leak.Incident
	sourceType string
}

// language has everything that a condition can read.
var language = expr.New(
	text("incident.state", func(s *subject) string { return string(s.incident.State) }),
	text("incident.severity", func(s *subject) string { return string(s.incident.Severity) }),
	text("incident.action", func(s *subject) string { return string(s.incident.Action) }),
	text("incident.rule", func(s *subject) string { return s.incident.Rule }),
	text("incident.issuer", func(s *subject) string { return s.incident.Issuer }),
	field("incident.sighting_count", cel.IntType, func(s *subject) any { return int64(s.incident.SightingCount) }),
	text("key.id", func(s *subject) string { return s.incident.Key.ID }),
	text("key.name", func(s *subject) string { return s.incident.Key.Name }),
	text("key.kind", func(s *subject) string { return s.incident.Key.Kind }),
	text("key.owner", func(s *subject) string { return s.incident.Key.Owner }),
	text("key.owner_name", func(s *subject) string { return s.incident.Key.OwnerName }),
	text("key.account", func(s *subject) string { return s.incident.Key.Account }),
	field("key.locked", cel.BoolType, func(s *subject) any { return s.incident.Key.Locked }),
	field("key.disabled", cel.BoolType, func(s *subject) any { return s.incident.Key.Disabled }),
	text("key.setting", func(s *subject) string { return string(s.incident.Key.Setting) }),
	text("source.name", func(s *subject) string { return s.incident.Source }),
	text("source.type", func(s *subject) string { return s.sourceType }),
)

func field(name string, kind *cel.Type, read func(*subject) any) expr.Field[*subject] {
	return expr.Field[*subject]{Name: name, Type: kind, Read: read}
}

func text(name string, read func(*subject) string) expr.Field[*subject] {
	return field(name, cel.StringType, func(s *subject) any { return read(s) })
}

// Compile makes a condition of what an operator wrote, or returns what is wrong with it.
func Compile(text string) (*Condition, []expr.Fault) {
	x, faults := language.Compile(text)
	if len(faults) > 0 {
		return nil, faults
	}
	return &Condition{x}, nil
}

// Met reports whether the notifier is told of an incident whose first alert came from a source of the given type. An error
// holds nothing of the incident.
func (c *Condition) Met(i leak.Incident, sourceType string) (bool, error) {
	met, err := c.expression.Holds(&subject{i, sourceType})
	if err != nil {
		return false, fmt.Errorf("evaluating the condition: %w", err)
	}
	return met, nil
}
