package role_test

import (
	"testing"

	"stanch/cmd/stanch/role"
)

func TestSet(t *testing.T) {
	for _, row := range []struct {
		text, want, fault string
	}{
		{"engine", "engine", ""},
		{"receiver, notifier", "receiver,notifier", ""},
		{"receiver,collector,engine,notifier", "receiver,collector,engine,notifier", ""},
		{"engin", "", "each must be receiver, collector, engine or notifier; did you mean engine?"},
		{"operator", "", "each must be receiver, collector, engine or notifier"},
		{"engine,engine", "", "engine is given twice"},
	} {
		var r role.Roles
		err := r.Set(row.text)
		if got := r.String(); got != row.want {
			t.Errorf("%s: got %s, want %s", row.text, got, row.want)
		}
		if (err == nil) != (row.fault == "") || err != nil && err.Error() != row.fault {
			t.Errorf("%s: got error %v, want %q", row.text, err, row.fault)
		}
	}
}

func TestHave(t *testing.T) {
	every := role.Roles{role.Receiver, role.Collector, role.Engine, role.Notifier}
	for _, row := range []struct {
		roles       role.Roles
		engine, all bool
		user        string
		keyless     bool
		names       int
	}{
		{nil, true, true, "stanch", false, 4},
		{every, true, true, "stanch", false, 4},
		{role.Roles{role.Engine}, true, false, "engine", false, 1},
		{role.Roles{role.Notifier}, false, false, "notifier", true, 1},
		{role.Roles{role.Receiver, role.Collector}, false, false, "stanch", false, 2},
		{role.Roles{role.Operator}, false, false, "operator", false, 1},
	} {
		r := row.roles
		if r.Have(role.Engine) != row.engine || r.All() != row.all || r.User() != row.user || r.Keyless() != row.keyless ||
			len(r.Names()) != row.names {
			t.Errorf("%v: got %v, %v, %s, %v, %v", r, r.Have(role.Engine), r.All(), r.User(), r.Keyless(), r.Names())
		}
	}
}
