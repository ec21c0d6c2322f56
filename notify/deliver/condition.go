package deliver

import (
	"fmt"

	"cel.dev/cel-go/cel"

	"stanch/receiver/leak"
	"stanch/receiver/leak/expr"
)

// subject is what a condition can read: an incident as it stands after the step that is told.
type subject struct {
	incident   leak.Incident
	sourceType string
}

// language is that of a notifier's condition, with everything that it can read. The engine's rules are written in another: they
// decide what is done to a key, and are examined for what a leaker could lower; a condition only decides who is told.
var language = expr.New(
	textField("incident.state", func(s *subject) string { return string(s.incident.State) }),
	textField("incident.severity", func(s *subject) string { return string(s.incident.Severity) }),
	textField("incident.action", func(s *subject) string { return string(s.incident.Action) }),
	textField("incident.rule", func(s *subject) string { return s.incident.Rule }),
	textField("incident.issuer", func(s *subject) string { return s.incident.Issuer }),
	field("incident.sighting_count", cel.IntType, func(s *subject) any { return int64(s.incident.SightingCount) }),
	textField("key.id", func(s *subject) string { return s.incident.Key.ID }),
	textField("key.name", func(s *subject) string { return s.incident.Key.Name }),
	textField("key.kind", func(s *subject) string { return s.incident.Key.Kind }),
	textField("key.owner", func(s *subject) string { return s.incident.Key.Owner }),
	textField("key.owner_name", func(s *subject) string { return s.incident.Key.OwnerName }),
	textField("key.account", func(s *subject) string { return s.incident.Key.Account }),
	field("key.locked", cel.BoolType, func(s *subject) any { return s.incident.Key.Locked }),
	field("key.disabled", cel.BoolType, func(s *subject) any { return s.incident.Key.Disabled }),
	textField("key.setting", func(s *subject) string { return string(s.incident.Key.Setting) }),
	textField("source.name", func(s *subject) string { return s.incident.Source }),
	textField("source.type", func(s *subject) string { return s.sourceType }),
)

func field(name string, kind *cel.Type, read func(*subject) any) expr.Field[*subject] {
	return expr.Field[*subject]{Name: name, Type: kind, Read: read}
}

func textField(name string, read func(*subject) string) expr.Field[*subject] {
	return field(name, cel.StringType, func(s *subject) any { return read(s) })
}

// Condition makes a [Route.When] of the CEL expression that an operator wrote, or returns what is wrong with it. It takes the types
// of the sources, by configured name. The function is safe for concurrent use, and its errors hold nothing of the incident.
func Condition(written string, types map[string]string) (func(leak.Incident) (bool, error), []expr.Fault) {
	x, faults := language.Compile(written)
	if len(faults) > 0 {
		return nil, faults
	}
	return func(i leak.Incident) (bool, error) {
		met, err := x.Holds(&subject{i, types[i.Source]})
		if err != nil {
			return false, fmt.Errorf("evaluating the condition: %w", err)
		}
		return met, nil
	}, nil
}
