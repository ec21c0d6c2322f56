package leak

// Action is what is done with a leaked key.
type Action string

// The actions, weakest first.
const (
	Nothing Action = "nothing"
	Disable Action = "disable"
	Delete  Action = "delete"
)

// Enable undoes Disable. Policy never decides it: only a person's undo announces it.
const Enable Action = "enable"

// Stronger reports whether a goes further than b: nothing < disable < delete. The empty action is the weakest.
func (a Action) Stronger(b Action) bool { return a.rank() > b.rank() }

func (a Action) rank() int {
	switch a {
	case Nothing:
		return 1
	case Disable:
		return 2
	case Delete:
		return 3
	}
	return 0
}

// Decision is the action that policy chose, and why.
type Decision struct {
	Action   Action   `json:"action"`
	Rule     string   `json:"rule"`   // name of the rule, or of the built-in that decided: key, key_none, default, protect ...
	Reason   string   `json:"reason"` // one sentence, for people
	Severity Severity `json:"severity"`
	// Approval means that a person must approve the action first. A delete that waits for approval disables at once.
	Approval bool `json:"approval"`
	// Unlock allows a locked key to be unlocked in order to act on it.
	Unlock bool `json:"unlock"`
}

// Severity is how urgently somebody must look.
type Severity string

// The severities, calmest first.
const (
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)
