package notify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"time"

	"stanch/receiver/leak"
)

// maxWritten is how much a template may write, in bytes.
const maxWritten = 64 << 10

// Words are an operator's own templates of the text of notices, in the language of text/template, with the [Notice] as
// data: nothing else can be reached from it. They are safe for concurrent use. A nil *Words changes nothing.
//
// The title's template writes one line. The text's writes the facts, one a line, the name before the first ": ", so that
//
//	{{range .Facts}}{{.Name}}: {{.Text}}
//	{{end}}
//
// is the text as it is composed. A line without a name is a fact called Note.
type Words struct{ title, text *template.Template }

// TemplateFault is what is wrong with a template.
type TemplateFault struct {
	Line int // of the template, from 1; 0: it is not known
	Text string
}

// Error is the line and what is wrong there.
func (f *TemplateFault) Error() string {
	if f.Line == 0 {
		return f.Text
	}
	return fmt.Sprintf("line %d: %s", f.Line, f.Text)
}

// Template is one template of [Words], tried on notices of every kind.
type Template struct{ it *template.Template }

// ParseTemplate reads a template, and tries it on examples, so that a field that does not exist is found here. The error
// is a *TemplateFault.
func ParseTemplate(text string) (Template, error) {
	parsed, err := template.New("template").Parse(text)
	if err != nil {
		return Template{}, faultOf(err)
	}
	for _, n := range Examples() {
		if _, err := execute(parsed, n); err != nil {
			return Template{}, faultOf(err)
		}
	}
	return Template{parsed}, nil
}

// NewWords makes words of the templates of title and text; the zero Template leaves what is composed.
func NewWords(title, text Template) *Words { return &Words{title.it, text.it} }

// errTooMuch is the error of a template that does not come to an end.
var errTooMuch = errors.New("it writes too much")

// execute writes a notice by a template.
func execute(t *template.Template, n Notice) (string, error) {
	var out bytes.Buffer
	if err := t.Execute(&limited{to: &out}, n); err != nil {
		return "", err
	}
	return out.String(), nil
}

// limited refuses to be written too much.
type limited struct {
	to      io.Writer
	written int
}

// Write implements [io.Writer].
func (l *limited) Write(p []byte) (int, error) {
	if l.written += len(p); l.written > maxWritten {
		return 0, errTooMuch
	}
	return l.to.Write(p)
}

// Write returns a notice in these words. With an error, which is of a template that does not work on this notice, it is as it
// was.
func (w *Words) Write(n Notice) (Notice, error) {
	if w == nil {
		return n, nil
	}
	own := n
	if w.title != nil {
		title, err := execute(w.title, n)
		if err != nil {
			return n, fmt.Errorf("writing the title: %w", faultOf(err))
		}
		own.Title = plain(strings.Join(strings.Fields(title), " "))
	}
	if w.text != nil {
		text, err := execute(w.text, n)
		if err != nil {
			return n, fmt.Errorf("writing the text: %w", faultOf(err))
		}
		own.Facts = factsOf(text)
	}
	return own, nil
}

// factsOf reads facts that are written one a line.
func factsOf(text string) []Fact {
	var facts []Fact
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, rest, named := strings.Cut(line, ": ")
		switch {
		case line == "":
		case named:
			facts = append(facts, Fact{plain(name), strings.Map(visible, rest)})
		default:
			facts = append(facts, Fact{"Note", strings.Map(visible, line)})
		}
	}
	return facts
}

// templateError is how text/template words an error: the line, for errors of execution the column, then where it is
// executing what, then what is wrong.
var templateError = regexp.MustCompile(`^template: template:(\d+):(?:\d+:)? (?:executing "template" at <[^>]*>: )?(.*)$`)

func faultOf(err error) *TemplateFault {
	if errors.Is(err, errTooMuch) {
		return &TemplateFault{Text: errTooMuch.Error()}
	}
	found := templateError.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
	if found == nil {
		return &TemplateFault{Text: "it does not work"}
	}
	line, _ := strconv.Atoi(found[1]) // digits
	return &TemplateFault{Line: line, Text: plain(found[2])}
}

// Examples are notices of every state, and one of many incidents, that tell of nothing that happened.
func Examples() []Notice {
	at := time.Date(2026, 1, 31, 15, 4, 5, 0, time.UTC)
	c := composer{externalURL: "https://stanch.example.org"}
	var notices []Notice
	var entries []leak.Entry
	for i, e := range []struct {
		state leak.State
		step  leak.StepName
	}{
		{leak.Contained, leak.Proved},
		{leak.Held, leak.HeldBack},
		{leak.Left, leak.Spared},
		{leak.Failed, leak.Failure},
		{leak.Unknown, leak.NotKnown},
		{leak.Closed, leak.Ended},
		{leak.Open, leak.Approved},
	} {
		entry := leak.Entry{
			V: 1, ID: fmt.Sprintf("example-%d", i), Steps: []leak.Step{{At: at, Step: e.step, Text: "an example", By: "example"}},
			Incident: exampleIncident(i, e.state, at),
		}
		seen := []leak.Sighting{{Source: "example", Type: "example", URL: "https://example.org/", Place: "commit", SeenAt: at}}
		n, _ := c.compose(entry, seen)
		notices, entries = append(notices, n), append(entries, entry)
	}
	return append(notices, c.gather(strings.Repeat("0", 64), entries))
}

func exampleIncident(i int, state leak.State, at time.Time) leak.Incident {
	return leak.Incident{
		ID: leak.Fingerprint(fmt.Sprintf("%012x%052x", i, i)), State: state, Severity: leak.Warning, Issuer: "example", Source: "example",
		Key:    leak.Key{ID: "example", Name: "example", Kind: "service_id", Owner: "example", Account: "example", TokenLife: time.Hour, Disabled: state == leak.Contained},
		Action: leak.Disable, Rule: "key", Reason: "this is an example", SightingCount: 1, ReceivedAt: at.Add(-time.Minute), ContainedAt: at,
	}
}
