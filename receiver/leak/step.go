package leak

import "time"

// StepName says what kind of change a step is.
type StepName string

// The steps.
const (
	Seen     StepName = "seen"     // a sighting was added
	Located  StepName = "located"  // an issuer knows the key
	NotKnown StepName = "unknown"  // no issuer knows the key
	Decided  StepName = "decided"  // policy chose
	HeldBack StepName = "held"     // waits for approval
	Intended StepName = "intended" // an action is announced
	Settling StepName = "settling" // proved or accepted, and to be proved again when the change holds everywhere
	Proved   StepName = "proved"   // the key is dead, and the incident says why that is known
	Unproved StepName = "accepted" // the issuer accepted the action, and nobody can prove that the key is dead
	Failure  StepName = "failed"   // paged
	Spared   StepName = "left"     // policy says nothing, and nothing was done
	Joined   StepName = "joined"   // it is the other half of a credential that has an incident already, which goes on
	Wiped    StepName = "wiped"    // the kept secret is gone
	Warned   StepName = "warned"   // a rule could not be evaluated, and the next one was asked
	Reported StepName = "reported" // a source was told what became of its alert
	Looked   StepName = "looked"   // a second look, when the tokens issued before had run out
	Alive    StepName = "alive"    // a sighting of a closed incident came again, and its key works
)

// The steps that a person takes. Their text ends with the reason that was given.
const (
	Approved  StepName = "approved" // what the incident was held for is to be done
	Rejected  StepName = "rejected" // what the incident was held for is not done
	UndoAsked StepName = "undo"     // the key is to be enabled again
	Undone    StepName = "undone"   // the issuer, asked again, says that the key is enabled; taken by the engine
	Retried   StepName = "retried"  // the incident is to be tried again now
	Ended     StepName = "closed"   // nothing more is to be done, whatever is known so far
)

// Step is one change of an incident; appended, never edited.
type Step struct {
	At   time.Time `json:"at"`
	Step StepName  `json:"step"`
	Text string    `json:"text"` // one sentence, for people
	By   string    `json:"by"`   // who did it: engine, or a person
	// Sighting is the id of the sighting that a Seen step adds. The id outlives the sighting.
	Sighting string `json:"sighting,omitempty"`
	// Ref is what the source calls its alert, in a Seen step of a source that is reported to, and in a Reported step.
	Ref string `json:"ref,omitempty"`
	// Source is the configured name of that source.
	Source string `json:"source,omitempty"`
	// Quiet means that nobody is told of the step, because a step of another incident told it already.
	Quiet bool `json:"quiet,omitempty"`
}

// Entry is one message of the log: the steps of one reconcile, oldest first, and the incident as it stands after them.
// Steps that a reconcile takes together share one entry, and so one disk flush.
type Entry struct {
	V        int      `json:"v"`    // format version, 1
	ID       string   `json:"id"`   // random; tells our own entry from another's after a lost acknowledgement
	Prev     string   `json:"prev"` // SHA-256 of the incident's entry before this one, hex; empty on the first
	Steps    []Step   `json:"steps"`
	Incident Incident `json:"incident"`
}
