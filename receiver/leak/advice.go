package leak

// Advice is what an issuer tells people about one of its keys: what it is in use for, and how to replace it. It is text for
// people, in whole sentences, with commands in backquotes; nothing is decided by it. A name that a stranger chose stands in a
// command only where a shell takes it as one word. The zero Advice says nothing.
type Advice struct {
	// Breaks is what stops working with the key, besides calls with it; empty: nothing that the issuer knows of.
	Breaks string `json:"breaks,omitempty"`
	// Replace is how to replace the key, or what to know before the steps; empty: the issuer does not say.
	Replace string `json:"replace,omitempty"`
	// Steps are taken one after the other; none: Replace says it all.
	Steps []AdviceStep `json:"steps,omitempty"`
}

// AdviceStep is one thing to do.
type AdviceStep struct {
	Text string `json:"text"`
	// Gone is the text once there is no such key any more; empty: the same.
	Gone string `json:"gone,omitempty"`
}
