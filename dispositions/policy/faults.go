package policy

// Fault is something wrong with a rule. Its text never repeats what was written, which may be a secret in the wrong
// place, except names of the configuration that are known to be good.
type Fault struct {
	Rule   int    // index in Config.Rules
	Field  string // of the rule: when, action ...
	Line   int    // within When, from 1; 0: the fault is not at a place within it
	Column int    // within the line, in characters from 1
	Text   string // what is wrong, and what to write instead
}

// about is a fault of an expression as a whole.
func about(text string) []Fault { return []Fault{{Field: "when", Text: text}} }
