package policy

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"

	"stanch/receiver/leak"
	"stanch/receiver/leak/expr"
)

// How long a text may be that is looked at, in bytes: whoever leaks a key chooses some of them, and what an expression
// costs was estimated by these when the file was read.
const (
	shortText = 1 << 10 // ids and names
	longText  = 4 << 10 // a URL
)

// language has everything that rules may look at.
var language = expr.New(slices.Concat(issued, carried)...)

// issued is what the issuer alone says of a key.
var issued = []expr.Field[*Case]{
	text("key.issuer", func(c *Case) string { return c.Issuer }),
	text("key.id", func(c *Case) string { return c.Key.ID }),
	text("key.name", func(c *Case) string { return c.Key.Name }),
	text("key.kind", func(c *Case) string { return c.Key.Kind }),
	text("key.owner", func(c *Case) string { return c.Key.Owner }),
	text("key.account", func(c *Case) string { return c.Key.Account }),
	field("key.locked", cel.BoolType, func(c *Case) any { return c.Key.Locked }),
	field("key.disabled", cel.BoolType, func(c *Case) any { return c.Key.Disabled }),
	text("key.setting", func(c *Case) string { return string(c.Key.Setting) }),
	field("key.created_at", cel.TimestampType, func(c *Case) any { return c.Key.CreatedAt }),
	field("key.expires_at", cel.TimestampType, func(c *Case) any { return c.Key.ExpiresAt }),
}

// carried is what whoever leaks, finds or reports a key can influence, so it may only raise an action. When the key was used
// last is among it, because whoever found the key can move that, and so is the present: whoever leaks a key chooses the moment.
var carried = []expr.Field[*Case]{
	field("key.last_used_at", cel.TimestampType, func(c *Case) any { return c.Key.LastUsedAt }),
	text("alert.source", func(c *Case) string { return c.Alert.Source }),
	text("alert.type", func(c *Case) string { return c.Alert.Type }),
	{Name: "alert.url", Type: cel.StringType, Size: longText, Read: func(c *Case) any { return c.Alert.URL }},
	text("alert.place", func(c *Case) string { return c.Alert.Place }),
	field("alert.public", cel.BoolType, func(c *Case) any { return c.Alert.Public }),
	text("alert.validity", func(c *Case) string { return c.Alert.Validity }),
	field("alert.several", cel.BoolType, func(c *Case) any { return c.Alert.Several }),
	text("source.name", func(c *Case) string { return c.Alert.Source }),
	text("source.type", func(c *Case) string { return c.Alert.SourceType }),
	field("incident.sighting_count", cel.IntType, func(c *Case) any { return int64(c.Incident.SightingCount) }),
	field("incident.received_at", cel.TimestampType, func(c *Case) any { return c.Incident.ReceivedAt }),
	field("now", cel.TimestampType, func(c *Case) any { return c.Now }),
}

func field(name string, kind *cel.Type, read func(*Case) any) expr.Field[*Case] {
	return expr.Field[*Case]{Name: name, Type: kind, Read: read}
}

func text(name string, read func(*Case) string) expr.Field[*Case] {
	return expr.Field[*Case]{Name: name, Type: cel.StringType, Size: shortText, Read: func(c *Case) any { return read(c) }}
}

// expression is the condition of a rule. It is safe for concurrent use.
type expression struct{ *expr.Expression[*Case] }

// compile makes an expression of what an operator wrote, or returns every fault of it. The faults have no Rule.
func compile(when string) (*expression, []Fault) {
	if strings.TrimSpace(when) == "" {
		return nil, about("is missing; write true for a rule that always matches")
	}
	x, found := language.Compile(when)
	var faults []Fault
	for _, f := range found {
		faults = append(faults, Fault{Field: "when", Line: f.Line, Column: f.Column, Text: f.Text})
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return &expression{x}, nil
}

// carried is the first thing the expression looks at that an alert carries.
func (x *expression) carried() (expr.Sight, bool) {
	for _, s := range x.Sights() {
		if slices.ContainsFunc(carried, func(f expr.Field[*Case]) bool { return f.Name == s.Field }) {
			return s, true
		}
	}
	return expr.Sight{}, false
}

// certainty is what can be said of an expression for every key of one kind.
type certainty int

const (
	maybe  certainty = iota // it depends
	never                   // it is false
	always                  // it is true
	broken                  // it cannot be evaluated
)

// certainty evaluates the expression while all that is known of a key are its issuer, if that is not empty, and its own
// setting.
func (x *expression) certainty(issuer string, setting leak.Action) certainty {
	known := []string{"key.setting"}
	if issuer != "" {
		known = append(known, "key.issuer")
	}
	holds, certain, err := x.Certain(&Case{Issuer: issuer, Key: leak.Key{Setting: setting}}, known...)
	switch {
	case err != nil:
		return broken
	case !certain:
		return maybe
	case holds:
		return always
	}
	return never
}
