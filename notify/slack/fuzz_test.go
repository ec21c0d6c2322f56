package slack_test

import (
	"fmt"
	"regexp"
	"testing"

	"stanch/notify"
	"stanch/receiver/leak"
)

// markup is what Slack reads as its own in a text.
var markup = regexp.MustCompile(`[<>]|&(amp|lt|gt)?[^;algm]`)

// FuzzMessage: whatever strangers write, Slack takes the message, and reads none of it as markup.
func FuzzMessage(f *testing.F) {
	f.Add("ci <!channel> deploy", "`stanch`", "<https://evil.example|click>")
	f.Add("&lt;!here&gt;", "*bold* _it_ ~no~", "\xff\u202e\x00")
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, title, name, text string) {
		server := play(t, token)
		sent := notify.Notice{
			ID: "notice", Title: title, Severity: leak.Critical, Phase: notify.Opened, At: at,
			Facts: []notify.Fact{{Name: "Fact " + name, Text: text}, {Name: "Next", Text: text + name}},
		}
		if err := open(t, server.URL).Notify(t.Context(), sent); err != nil {
			t.Fatalf("got %v, want no error", err)
		}
		m := server.Messages()[0]
		if found := markup.FindString(m.Text); found != "" {
			t.Errorf("got %q in the fallback %q", found, m.Text)
		}
		for _, section := range m.Blocks[1].Elements {
			for _, e := range section.Elements {
				if e.Type != "text" {
					t.Errorf("got a %s that nobody of us made", e.Type)
				}
			}
		}
		if kinds := fmt.Sprint(m.Blocks[0].Type, m.Blocks[1].Type, m.Blocks[2].Type); kinds != "headerrich_textcontext" {
			t.Errorf("got the blocks %s", kinds)
		}
	})
}
