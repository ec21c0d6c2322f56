package leak

import "time"

// Label is what a source is told about a secret that it reported, where it asks for that.
type Label string

// The labels. The empty one means that nobody could tell in time, and nothing is said.
const (
	TruePositive  Label = "true_positive"  // an issuer knows the key, or knew it: one that is dead already is one as well
	FalsePositive Label = "false_positive" // every issuer that may see it was asked and has no such key, and none ever had
)

// Questions is what the receiver asks the engine, and the answer: the same with the labels that are known by then.
type Questions struct {
	Until  time.Time  `json:"until"` // when the answer is of no use any more
	Alerts []Labelled `json:"alerts"`
}

// Labelled is one alert by its names; it holds no secret.
type Labelled struct {
	Fingerprint Fingerprint `json:"fingerprint"`
	ID          string      `json:"id"` // of the sighting
	Label       Label       `json:"label,omitempty"`
}
