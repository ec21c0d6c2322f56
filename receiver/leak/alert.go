package leak

import "time"

// Sealed is an encrypted [Content]; package seal makes and opens it.
type Sealed []byte

// Content is what an alert says of a secret, the secret included. It exists in clear only between parse and seal in the
// receiver, and between open and the end of a reconcile in the engine.
type Content struct {
	Secret Secret
	Type   string // the source's name for the kind of token; never trusted, may be empty
	URL    string // where it was seen, may be empty
	Place  string // what kind of place that is: commit, issue_title, wiki_content ...
	// Ref is what the source calls its own alert of it, so that the outcome can be reported there; empty: it has none.
	Ref string
	Marks
}

// Marks are what a source knows of a leak beyond its place. They make it more urgent, and never less.
type Marks struct {
	Public   bool   `json:"public,omitempty"`   // it is in a public place as well
	Validity string `json:"validity,omitempty"` // active, inactive or unknown, as the source found it; empty: it does not say
	Several  bool   `json:"several,omitempty"`  // it is in several repositories
	Swept    bool   `json:"swept,omitempty"`    // a sweep found it: no delivery told of it
}

// Worse reports whether the leak is worse than most.
func (m Marks) Worse() bool { return m.Public || m.Several || m.Validity == "active" }

// Pointer is a report without the secret: the collector asks the source for it and makes alerts of it. It holds no secret.
type Pointer struct {
	V      int    `json:"v"`            // format version, 1
	Source string `json:"source"`       // configured name of the source
	Ref    string `json:"ref"`          // what the source calls the alert
	Event  string `json:"event"`        // what the source said happened to it
	By     string `json:"by,omitempty"` // who did it, as the source calls them; empty: it does not say
	// Cause is what the source calls the chain of calls and events that this is a part of; empty: it does not say. Nobody
	// proved it, so it may be sent back to the source, and nothing is left undone because of it.
	Cause      string    `json:"cause,omitempty"`
	Swept      bool      `json:"swept,omitempty"`
	ReceivedAt time.Time `json:"received_at"`
}

// Report is what was told to a source about an alert of its own. The collector queues it like an alert, so that the engine
// puts it into the log.
type Report struct {
	Ref  string `json:"ref"`
	Text string `json:"text"` // one sentence, for people
}

// Alert is one report by a source that a secret was seen somewhere, as it travels through the queue. What it says is
// sealed; what is in clear names nobody.
type Alert struct {
	V           int         `json:"v"`           // format version, 1
	ID          string      `json:"id"`          // the sighting's id: the same report delivered twice has it twice
	Source      string      `json:"source"`      // configured name of the source
	Fingerprint Fingerprint `json:"fingerprint"` // of the secret
	Sealed      Sealed      `json:"sealed"`
	ReceivedAt  time.Time   `json:"received_at"`
	// Report is set instead of Sealed when this is no alert, but what was reported about one.
	Report *Report `json:"report,omitempty"`
}

// Sighting is where one alert saw the key. It is kept apart from the incident, encrypted, because it must be forgotten
// after a time.
type Sighting struct {
	Source string    `json:"source"`
	Type   string    `json:"type"`
	URL    string    `json:"url"`
	Place  string    `json:"place"`
	SeenAt time.Time `json:"seen_at"`
	Marks
}

// DeadLetter is something that no retry can help, with the reason. Its content is sealed.
type DeadLetter struct {
	V      int    `json:"v"` // format version, 1
	Reason string `json:"reason"`
	Alert  Alert  `json:"alert"`
	// Pointer is set when it is a pointer that could not be followed.
	Pointer *Pointer `json:"pointer,omitempty"`
	// Record is set when it never was an alert, because nobody could read it: what is sealed in Alert as the secret is the
	// record as it came, or a token that is too long.
	Record bool      `json:"record,omitempty"`
	At     time.Time `json:"at"`
}
