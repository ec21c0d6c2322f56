package email

import (
	"fmt"
	"html/template"
	"net/mail"
	"strings"
	"unicode"

	gomail "github.com/wneessen/go-mail"

	"stanch/notify"
	"stanch/notify/channel"
	"stanch/receiver/leak"
)

// maxSubject bounds the characters of a subject, however long the name of a key is.
const maxSubject = 250

// message is a notice as a mail to one recipient.
func (e *email) message(n notify.Notice, first bool, to *mail.Address) *gomail.Msg {
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(e.from)
	m.ToMailAddress(to)
	m.Subject(subject(n))
	m.SetDateWithValue(n.At)
	root := e.messageID(string(n.Incident.ID))
	if first {
		m.SetMessageIDWithValue(root)
	} else {
		m.SetMessageIDWithValue(e.messageID(n.ID))
		m.SetGenHeader(gomail.HeaderInReplyTo, "<"+root+">")
		m.SetGenHeader(gomail.HeaderReferences, "<"+root+">")
	}
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no autoresponder answers it
	if n.Severity == leak.Critical {
		m.SetImportance(gomail.ImportanceHigh)
	}
	m.SetBodyString(gomail.TypeTextPlain, text(n))
	m.AddAlternativeString(gomail.TypeTextHTML, html(n))
	return m
}

// subject is one line, whatever a template makes of the title. Anything that looks like an encoded word of RFC 2047 is
// broken up, so that no mail program decodes what a stranger wrote.
func subject(n notify.Notice) string {
	line := strings.ToUpper(string(n.Severity)) + ": " + strings.ReplaceAll(n.Title, "=?", "= ?")
	line = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, line)
	return channel.Cut(line, maxSubject)
}

// text is the mail for those who read text.
func text(n notify.Notice) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s, %s\n", n.Title, strings.ToUpper(string(n.Severity)), when(n))
	for _, fact := range n.Facts {
		fmt.Fprintf(&b, "\n%s\n    %s\n", fact.Name, fact.Text)
	}
	if n.Link != "" {
		fmt.Fprintf(&b, "\nMore\n    %s\n", n.Link)
	}
	return b.String()
}

func when(n notify.Notice) string { return n.At.UTC().Format("2006-01-02 15:04:05 UTC") }

// page is the mail for those who read HTML. It loads nothing and links to nothing but the incident's page.
var page = template.Must(template.New("page").Funcs(template.FuncMap{"pieces": channel.Pieces}).Parse(
	`<!DOCTYPE html>
<html lang="en"><body style="font-family: sans-serif; max-width: 48em">
<h2 style="margin-bottom: 0">{{.Notice.Title}}</h2>
<p style="color: {{.Colour}}; margin-top: 0"><strong>{{.Severity}}</strong>, {{.When}}</p>
{{range .Notice.Facts}}<h3 style="margin-bottom: 0">{{.Name}}</h3>
<p style="margin-top: 0">{{range pieces .Text}}{{if .Code}}<code>{{.Text}}</code>{{else}}{{.Text}}{{end}}{{end}}</p>
{{end}}{{with .Notice.Link}}<h3 style="margin-bottom: 0">More</h3>
<p style="margin-top: 0"><a href="{{.}}">{{.}}</a></p>
{{end}}</body></html>
`))

// colours are how a page shows a severity.
var colours = map[leak.Severity]template.CSS{leak.Info: "#2a7d2a", leak.Warning: "#a86400", leak.Critical: "#c00000"}

func html(n notify.Notice) string {
	var b strings.Builder
	err := page.Execute(&b, map[string]any{
		"Notice": n, "Severity": strings.ToUpper(string(n.Severity)), "When": when(n), "Colour": colours[n.Severity],
	})
	if err != nil {
		return "" // a mail with its text alone is worth more than none
	}
	return b.String()
}
