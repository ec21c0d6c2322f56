package web

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"stanch/dispositions"
	"stanch/dispositions/ledger"
	"stanch/notify/channel"
	"stanch/notify/compose"
	"stanch/receiver/leak"
)

// functions are what templates call.
var functions = template.FuncMap{
	"text":    shortened,
	"spelt":   spelt,
	"capital": func(s string) string { return strings.ToUpper(s[:1]) + s[1:] },
	"link":    link,
	"pieces":  channel.Pieces,
	"asset":   func(name string) string { return assets[name].path },
	"stamp":   func(t time.Time) string { return t.UTC().Format(time.DateTime) },
	"machine": func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
	"clock":   func(t time.Time) string { return t.UTC().Format(time.TimeOnly) },
	"ago":     ago,
	"span":    span,
	"after":   containedAfter,
	"does":    does,
	"command": func(v dispositions.Verb, id leak.Fingerprint) string { return compose.Command(string(v), id) },
	"all":     func(v string, a ledger.Account) string { return compose.CommandAll(v, a.Issuer, a.ID) },
}

// visible is a stranger's text as a page shows it.
type visible struct {
	Parts []part
	Whole string // what was cut; empty: nothing was
}

// part is a run of characters, or the name of one that cannot be seen or that moves or hides others.
type part struct {
	Text string
	Odd  bool
}

// shortened is a text as a page shows it: no longer than so many characters, with every character visible.
func shortened(most int, v any) visible {
	s := strings.ToValidUTF8(fmt.Sprint(v), "\uFFFD")
	var t visible
	if runes := []rune(s); len(runes) > most {
		t.Whole = spelt(s)
		s = string(runes[:most])
	}
	t.Parts = parts(s)
	return t
}

func parts(s string) (all []part) {
	from := 0
	for i, r := range s {
		if seen(r) {
			continue
		}
		if from < i {
			all = append(all, part{Text: s[from:i]})
		}
		all = append(all, part{Text: fmt.Sprintf("U+%04X", r), Odd: true})
		from = i + len(string(r))
	}
	if from < len(s) {
		all = append(all, part{Text: s[from:]})
	}
	return all
}

// spelt is a text on one line, for where nothing can be marked.
func spelt(s string) string { return visible{Parts: parts(s)}.String() }

// String is the text with the names of odd characters in brackets.
func (t visible) String() string {
	var b strings.Builder
	for _, p := range t.Parts {
		if p.Odd {
			p.Text = "[" + p.Text + "]"
		}
		b.WriteString(p.Text)
	}
	return b.String()
}

// seen reports whether a character can be seen, and neither moves nor hides others. Characters that Unicode has browsers
// ignore are letters to some tables.
func seen(r rune) bool {
	return strconv.IsPrint(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// link is an address that may be followed: one of the web, and nothing that runs. Empty: it is none.
func link(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return ""
	}
	return u.String()
}

// containedAfter is how long a key lived after the receipt of its first alert; empty: it is not dead, or was before.
func containedAfter(i leak.Incident) string {
	if i.ContainedAt.IsZero() {
		return ""
	}
	return span(i.ContainedAt.Sub(i.ReceivedAt))
}

// ago says how long ago a time was.
func ago(t time.Time) string {
	d := time.Since(t)
	if d < time.Second {
		return "just now"
	}
	return span(d) + " ago"
}

// span is a duration as people say it, in one unit or two.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}
