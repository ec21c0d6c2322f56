package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
)

// How long a text may be that is looked at, in bytes: whoever leaks a key chooses some of them, and what an expression
// costs was estimated by these when the file was read.
const (
	shortText = 1 << 10 // ids and names
	longText  = 4 << 10 // a URL
)

// now is the one variable that has no fields.
const now = "now"

// field is one value that an expression may look at.
type field struct {
	name    string // as an expression writes it
	kind    *cel.Type
	size    uint64 // of a text, in bytes at most
	carried bool   // whoever leaks, finds or reports a key has a hand in it, so it may only raise an action
	value   func(*Case) any
}

// fields are all there is to look at. The issuer alone says what a key is, except when it was used last: that, whoever
// found the key can move. The present is carried as well: whoever leaks a key chooses the moment.
var fields = []field{
	{"key.issuer", cel.StringType, shortText, false, func(c *Case) any { return c.Issuer }},
	{"key.id", cel.StringType, shortText, false, func(c *Case) any { return c.Key.ID }},
	{"key.name", cel.StringType, shortText, false, func(c *Case) any { return c.Key.Name }},
	{"key.kind", cel.StringType, shortText, false, func(c *Case) any { return c.Key.Kind }},
	{"key.owner", cel.StringType, shortText, false, func(c *Case) any { return c.Key.Owner }},
	{"key.account", cel.StringType, shortText, false, func(c *Case) any { return c.Key.Account }},
	{"key.locked", cel.BoolType, 0, false, func(c *Case) any { return c.Key.Locked }},
	{"key.disabled", cel.BoolType, 0, false, func(c *Case) any { return c.Key.Disabled }},
	{"key.setting", cel.StringType, shortText, false, func(c *Case) any { return string(c.Key.Setting) }},
	{"key.created_at", cel.TimestampType, 0, false, func(c *Case) any { return c.Key.CreatedAt }},
	{"key.last_used_at", cel.TimestampType, 0, true, func(c *Case) any { return c.Key.LastUsedAt }},
	{"key.expires_at", cel.TimestampType, 0, false, func(c *Case) any { return c.Key.ExpiresAt }},
	{"alert.source", cel.StringType, shortText, true, func(c *Case) any { return c.Alert.Source }},
	{"alert.type", cel.StringType, shortText, true, func(c *Case) any { return c.Alert.Type }},
	{"alert.url", cel.StringType, longText, true, func(c *Case) any { return c.Alert.URL }},
	{"alert.place", cel.StringType, shortText, true, func(c *Case) any { return c.Alert.Place }},
	{"alert.public", cel.BoolType, 0, true, func(c *Case) any { return c.Alert.Public }},
	{"alert.validity", cel.StringType, shortText, true, func(c *Case) any { return c.Alert.Validity }},
	{"alert.several", cel.BoolType, 0, true, func(c *Case) any { return c.Alert.Several }},
	{"source.name", cel.StringType, shortText, true, func(c *Case) any { return c.Alert.Source }},
	{"source.type", cel.StringType, shortText, true, func(c *Case) any { return c.Alert.SourceType }},
	{"incident.sighting_count", cel.IntType, 0, true, func(c *Case) any { return int64(c.Incident.SightingCount) }},
	{"incident.received_at", cel.TimestampType, 0, true, func(c *Case) any { return c.Incident.ReceivedAt }},
	{now, cel.TimestampType, 0, true, func(c *Case) any { return c.Now }},
}

// objects are the variables that have fields.
var objects = []string{"key", "alert", "source", "incident"}

// lookUp finds a field by its whole name; nil when there is none.
func lookUp(name string) *field {
	for i := range fields {
		if fields[i].name == name {
			return &fields[i]
		}
	}
	return nil
}

// fieldsOf lists what a variable has, by the last part of the name.
func fieldsOf(object string) []string {
	var names []string
	for _, f := range fields {
		if own, ok := strings.CutPrefix(f.name, object+"."); ok {
			names = append(names, own)
		}
	}
	return names
}

// unseen is the error of looking at a field in vain. It says why, and does not hold the value.
type unseen string

func (u unseen) Error() string { return string(u) }

// set reports whether there is anything to look at.
func (f *field) set(c *Case) bool {
	switch v := f.value(c).(type) {
	case string:
		return v != ""
	case time.Time:
		return !v.IsZero()
	}
	return true
}

// read is the value as an expression sees it. A time that nobody has told is not the year 1.
func (f *field) read(c *Case) (any, error) {
	value := f.value(c)
	switch v := value.(type) {
	case time.Time:
		if v.IsZero() {
			return nil, unseen(f.name + " is not known")
		}
	case string:
		if uint64(len(v)) > f.size {
			return nil, unseen(fmt.Sprintf("%s is longer than %d bytes", f.name, f.size))
		}
	}
	return value, nil
}

// tell is the value as people read it.
func (f *field) tell(c *Case) string {
	value, err := f.read(c)
	if err != nil {
		return err.Error()
	}
	switch v := value.(type) {
	case string:
		return f.name + " is " + strconv.Quote(v)
	case time.Time:
		return f.name + " is " + v.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("%s is %v", f.name, value)
}

// catalogue tells CEL which fields the variables have. A variable's type has its name.
type catalogue struct{ types.Provider }

// FindStructType returns the type of a variable.
func (c catalogue) FindStructType(name string) (*types.Type, bool) {
	if fieldsOf(name) == nil {
		return c.Provider.FindStructType(name)
	}
	return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
}

// FindStructFieldNames returns the names of a variable's fields.
func (c catalogue) FindStructFieldNames(name string) ([]string, bool) {
	if names := fieldsOf(name); names != nil {
		return names, true
	}
	return c.Provider.FindStructFieldNames(name)
}

// FindStructFieldType returns how a field of a variable is read.
func (c catalogue) FindStructFieldType(object, name string) (*types.FieldType, bool) {
	f := lookUp(object + "." + name)
	if f == nil {
		return c.Provider.FindStructFieldType(object, name)
	}
	return &types.FieldType{
		Type:    f.kind,
		IsSet:   func(of any) bool { return f.set(of.(*Case)) },
		GetFrom: func(of any) (any, error) { return f.read(of.(*Case)) },
	}, true
}

// activation lets CEL look at a case. Every variable with fields is the case itself: its fields know where to look.
type activation struct{ about *Case }

// ResolveName finds a variable.
func (a activation) ResolveName(name string) (any, bool) {
	if f := lookUp(name); f != nil { // now
		value, err := f.read(a.about)
		if err != nil {
			return types.WrapErr(err), true
		}
		return value, true
	}
	return a.about, slices.Contains(objects, name)
}

// Parent is nil: there are no further variables.
func (activation) Parent() cel.Activation { return nil }

// sizes tells the estimator of costs how long texts may be.
type sizes struct{}

// EstimateSize bounds the size of a field.
func (sizes) EstimateSize(of cost.AstNode) *cost.SizeEstimate {
	if f := lookUp(strings.Join(of.Path(), ".")); f != nil && f.size > 0 {
		return &cost.SizeEstimate{Max: f.size}
	}
	return nil
}

// EstimateCallCost leaves the cost of functions to CEL.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
