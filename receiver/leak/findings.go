package leak

import (
	"fmt"
	"time"
)

// Finding is what an examination of one part of a running system found, for the command that does it.
type Finding struct {
	Check  string `json:"check"`  // what was looked at, in a few words
	Result Result `json:"result"` // how it stands
	Text   string `json:"text"`   // one sentence, for people; it holds no secret
}

// Result is how a thing that was examined stands.
type Result string

// The results, best first.
const (
	Good   Result = "ok"
	Doubt  Result = "warning" // it works, and somebody should look
	Broken Result = "failure"
)

// Findings are what an examination found so far, in the order in which people read it. The formats are as for fmt, and
// what goes into them holds no secret.
type Findings []Finding

// Good adds that something is as it should be.
func (f *Findings) Good(check, format string, args ...any) { f.add(check, Good, format, args) }

// Doubt adds that something works, and that somebody should look.
func (f *Findings) Doubt(check, format string, args ...any) { f.add(check, Doubt, format, args) }

// Broken adds that something does not work.
func (f *Findings) Broken(check, format string, args ...any) { f.add(check, Broken, format, args) }

func (f *Findings) add(check string, result Result, format string, args []any) {
	*f = append(*f, Finding{Check: check, Result: result, Text: fmt.Sprintf(format, args...)})
}

// How far our clock may be from another before somebody should look, and before things go wrong: signatures with a time
// are taken for five minutes.
const (
	clockDoubt  = 30 * time.Second
	clockBroken = 5 * time.Minute
)

// Clock compares our clock with that of a server, which wrote the Date header field of an answer between two times of
// ours: when it was asked, and when it had answered. The difference is the least that explains the field, so that a
// slow answer does not look like a wrong clock.
func (f *Findings) Clock(date string, asked, answered time.Time) {
	const check = "clock"
	theirs, err := time.Parse(time.RFC1123, date) // RFC 9110, 5.6.7: always in GMT
	if err != nil {
		f.Doubt(check, "the answer does not say what time it is there, so our clock cannot be compared")
		return
	}
	ahead := max(0, asked.Sub(theirs.Add(time.Second))) // the field has no fractions of a second
	behind := max(0, theirs.Sub(answered))
	off, where := max(ahead, behind).Round(time.Second), "ahead of"
	if behind > ahead {
		where = "behind"
	}
	switch {
	case off > clockBroken:
		f.Broken(check, "our clock is at least %v %s the server's; what is signed or valid for a time only is refused", off, where)
	case off > clockDoubt:
		f.Doubt(check, "our clock is at least %v %s the server's", off, where)
	default:
		f.Good(check, "our clock agrees with the server's")
	}
}
