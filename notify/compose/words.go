package compose

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

	"stanch/notify"
	"stanch/receiver/leak"
)

// maxWritten is how much a template may write, in bytes.
const maxWritten = 64 << 10

// Words are an operator's own templates of the text of notices, in the language of text/template, with the [notify.Notice] as
// data: nothing else can be reached from it. They are safe for concurrent use. The zero Words change nothing.
//
// The title's template writes one line. The text's writes the facts, one a line, the name before the first ": ", so that
//
//	{{range .Facts}}{{.Name}}: {{.Text}}
//	{{end}}
//
// is the text as it is composed. A line without a name becomes a fact called Note.
type Words struct{ Title, Text Template }

// fault is what is wrong with a template.
type fault struct {
	Line int // of the template, from 1; 0: it is not known
	Text string
}

// Error is the line and what is wrong there.
func (f *fault) Error() string {
	if f.Line == 0 {
		return f.Text
	}
	return fmt.Sprintf("line %d: %s", f.Line, f.Text)
}

// Template is one template of [Words], tried on notices of every kind. The zero Template leaves what is composed.
type Template struct{ parsed *template.Template }

// ParseTemplate reads a template and tries it on [Examples], so that a field that does not exist is found here. The error
// says in which line the fault is, where that is known.
func ParseTemplate(text string) (Template, error) {
	parsed, err := template.New("template").Parse(text)
	if err != nil {
		return Template{}, faultOf(err)
	}
	t := Template{parsed}
	for _, n := range Examples() {
		if _, err := t.execute(n); err != nil {
			return Template{}, err
		}
	}
	return t, nil
}

// errTooMuch is the error of a template that never stops writing.
var errTooMuch = errors.New("it writes too much")

// execute writes a notice by a template.
func (t Template) execute(n notify.Notice) (string, error) {
	var out bytes.Buffer
	if err := t.parsed.Execute(&limited{to: &out}, n); err != nil {
		return "", faultOf(err)
	}
	return out.String(), nil
}

// limited takes so much and then refuses.
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

// Write returns a notice in these words. When a template does not work on this notice, it returns the notice as it was,
// and an error.
func (w Words) Write(n notify.Notice) (notify.Notice, error) {
	own := n
	if w.Title.parsed != nil {
		title, err := w.Title.execute(n)
		if err != nil {
			return n, fmt.Errorf("writing the title: %w", err)
		}
		own.Title = plain(strings.Join(strings.Fields(title), " "))
	}
	if w.Text.parsed != nil {
		text, err := w.Text.execute(n)
		if err != nil {
			return n, fmt.Errorf("writing the text: %w", err)
		}
		own.Facts = factsOf(text)
	}
	return own, nil
}

// factsOf reads facts that are written one a line.
func factsOf(text string) []notify.Fact {
	var facts []notify.Fact
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, rest, named := strings.Cut(line, ": ")
		switch {
		case line == "":
		case named:
			facts = append(facts, fact(plain(name), strings.Map(visible, rest)))
		default:
			facts = append(facts, fact("Note", strings.Map(visible, line)))
		}
	}
	return facts
}

// templateError is how text/template words an error: the line, the column if it was executing, what it was executing, and
// what is wrong.
var templateError = regexp.MustCompile(`^template: template:(\d+):(?:\d+:)? (?:executing "template" at <[^>]*>: )?(.*)$`)

func faultOf(err error) *fault {
	if errors.Is(err, errTooMuch) {
		return &fault{Text: errTooMuch.Error()}
	}
	found := templateError.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
	if found == nil {
		return &fault{Text: "it does not work"}
	}
	line, _ := strconv.Atoi(found[1]) // digits
	return &fault{Line: line, Text: plain(found[2])}
}

// Examples are notices of every state and one of a group, about incidents that never happened.
func Examples() []notify.Notice {
	at := time.Date(2026, 1, 31, 15, 4, 5, 0, time.UTC)
	audience := Audience{ExternalURL: "https://stanch.example.org"}
	var notices []notify.Notice
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
		{leak.Accepted, leak.Unproved},
	} {
		entry := leak.Entry{
			V: 1, ID: fmt.Sprintf("example-%d", i), Steps: []leak.Step{{At: at, Step: e.step, Text: "an example", By: "example"}},
			Incident: exampleIncident(i, e.state, at),
		}
		seen := []leak.Sighting{{Source: "example", Type: "example", URL: "https://example.org/", Place: "commit", SeenAt: at}}
		n, _ := audience.Notice(entry, seen)
		notices, entries = append(notices, n), append(entries, entry)
	}
	return append(notices, audience.Group(strings.Repeat("0", 64), entries))
}

func exampleIncident(i int, state leak.State, at time.Time) leak.Incident {
	return leak.Incident{
		ID: leak.Fingerprint(fmt.Sprintf("%012x%052x", i, i)), State: state, Severity: leak.Warning, Issuer: "example", Source: "example",
		Abilities: leak.Abilities{Disable: true, Enable: true, Delete: true, Read: true, TokensOutlive: leak.LivesFor(time.Hour)},
		Key:       leak.Key{ID: "example", Name: "example", Kind: "service_id", Owner: "example", Account: "example", Disabled: state == leak.Contained},
		Action:    leak.Disable, Rule: "key", Reason: "this is an example", SightingCount: 1, ReceivedAt: at.Add(-time.Minute), ContainedAt: at,
	}
}
