package email_test

import (
	"strings"
	"testing"

	"golang.org/x/net/html"

	"stanch/notify"
	"stanch/receiver/leak"
)

// FuzzMail: whatever strangers write, it is one mail to one recipient, whose header and HTML say what we say.
func FuzzMail(f *testing.F) {
	s := start(f, false)
	f.Add("a\r\nBcc: eve@example.com\r\n\r\nbody", "<script>alert(1)</script>")
	f.Add("=?utf-8?q?=0D=0ABcc:_eve?=", "`<b>` </code>")
	f.Add("\r\n.\r\n", "\x00\xff\u202e\"'")
	n := open(f, s, nil)
	f.Fuzz(func(t *testing.T, title, text string) {
		sent := notify.Notice{
			ID: title + text, Title: title, Severity: leak.Warning, Facts: []notify.Fact{{Name: "Fact", Text: text}},
		}
		sent.Incident.ID = leak.Fingerprint(title + text)
		if err := n.Notify(t.Context(), sent); err != nil {
			t.Fatalf("got %v, want no error", err)
		}
		for _, m := range s.take() {
			l := read(t, m)
			if m.to != alice || len(l.header["Bcc"]) != 0 || len(l.header) != 8 || strings.ContainsAny(l.subject, "\r\n") {
				t.Errorf("got a mail to %s with the header %v", m.to, l.header)
			}
			checkTags(t, l.html)
		}
	})
}

// ours are the elements that a mail is made of.
var ours = map[string]bool{"html": true, "body": true, "h2": true, "h3": true, "p": true, "strong": true, "code": true}

func checkTags(t *testing.T, text string) {
	t.Helper()
	for tokens := html.NewTokenizer(strings.NewReader(text)); tokens.Next() != html.ErrorToken; {
		if token := tokens.Token(); token.Type == html.StartTagToken && !ours[token.Data] || token.Type == html.CommentToken {
			t.Errorf("got %v, which is none of ours", token)
		}
	}
}
