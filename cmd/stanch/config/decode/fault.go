package decode

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a configuration file. Its text names fields and what they must be, and never
// holds a value of the file: a secret in the wrong place is a common fault.
type Fault struct {
	File   string
	Line   int // 1 is the first; 0 when the file could not be read at all
	Column int // of the line, in characters from 1; 0 when the line is all that is known
	Text   string
}

// String is the fault as compilers write theirs, so that editors can jump to it.
func (f Fault) String() string {
	switch {
	case f.Line == 0:
		return f.File + ": " + f.Text
	case f.Column > 0:
		return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Text)
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
}

// faultList collects the faults of one file, at most one a field and place: the first that is found explains the rest.
type faultList struct {
	file   string
	lines  map[string]int  // of each field, by its path from the root
	broken map[string]bool // fields whose value could not be read
	seen   map[place]bool
	faults []Fault
}

type place struct {
	line, column int
	path         string
}

func newFaultList(file string) faultList {
	return faultList{file: file, lines: map[string]int{}, broken: map[string]bool{}, seen: map[place]bool{}}
}

// add notes a fault of a field; the empty path is the file as a whole.
func (l *faultList) add(line int, path, problem string) { l.addAt(place{line, 0, path}, problem) }

// addAt notes a fault at a place, of which the column may be unknown.
func (l *faultList) addAt(at place, problem string) {
	if l.seen[at] {
		return
	}
	l.seen[at] = true
	text := problem
	if at.path != "" {
		text = at.path + ": " + problem
	}
	l.faults = append(l.faults, Fault{File: l.file, Line: at.line, Column: at.column, Text: text})
}

// Faulty reports whether a fault of a field, or of one within it, was noted.
func (l *faultList) Faulty(path string) bool {
	for at := range l.seen {
		if inner, ok := strings.CutPrefix(at.path, path); ok && (inner == "" || inner[0] == '.' || inner[0] == '[') {
			return true
		}
	}
	return false
}

// broke notes that the value of a field could not be read. Nothing else is then said of what it should hold.
func (l *faultList) broke(path, problem string) {
	l.broken[path] = true
	l.Fault(path, problem)
}

// Fault notes what is wrong with a field. Its place is the line of the field or, when that is missing, of the field around it.
func (l *faultList) Fault(path, problem string) {
	at := path
	for l.lines[at] == 0 && at != "" {
		at = parent(at)
	}
	if at != path && l.broken[at] {
		return
	}
	l.add(max(1, l.lines[at]), path, problem)
}

// Faults returns all faults noted so far, in the order of their places.
func (l *faultList) Faults() []Fault {
	slices.SortStableFunc(l.faults, func(a, b Fault) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) })
	return l.faults
}
