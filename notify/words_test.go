package notify_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"stanch/notify"
	"stanch/receiver/queue"
)

func template(t *testing.T, text string) notify.Template {
	t.Helper()
	parsed, err := notify.ParseTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// told is the notice of an example as a channel with templates gets it.
func told(t *testing.T, words *notify.Words) (n notify.Notice) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store, c := queue.NewMemory(), &channel{}
		stop := start(t, notify.Config{Store: store, Terms: notify.Terms{
			Routes: map[string]notify.Route{"c": {Notifier: c, Words: words}},
		}})
		log(t, store, news("one"))
		synctest.Wait()
		stop()
		if len(c.told) != 1 {
			t.Fatalf("got %v, want one notice", c.told)
		}
		n = c.told[0]
	})
	return n
}

// TestWords: templates replace title and facts; what they write is plain, and the text as it is composed is one of them.
func TestWords(t *testing.T) {
	composed := told(t, nil)
	same := told(t, notify.NewWords(template(t, "{{.Title}}"), template(t, "{{range .Facts}}{{.Name}}: {{.Text}}\n{{end}}")))
	if same.Title != composed.Title || !slices.Equal(same.Facts, composed.Facts) {
		t.Errorf("got %q and %v, want %q and %v", same.Title, same.Facts, composed.Title, composed.Facts)
	}
	own := told(t, notify.NewWords(
		template(t, "[{{.Severity}}]\n {{.Incident.Key.Name}} \x1b[2J\n"),
		template(t, "Look here: https://runbooks.example/{{.Incident.Issuer}}\n\n just a line\u202e\n")))
	want := []notify.Fact{{Name: "Look here", Text: "https://runbooks.example/ibm"}, {Name: "Note", Text: "just a line\ufffd"}}
	if own.Title != "[warning] ci-deploy \ufffd[2J" || !slices.Equal(own.Facts, want) {
		t.Errorf("got %q and %q", own.Title, own.Facts)
	}
	half := told(t, notify.NewWords(template(t, "x"), notify.Template{}))
	if half.Title != "x" || !slices.Equal(half.Facts, composed.Facts) {
		t.Errorf("got %q and %v", half.Title, half.Facts)
	}
}

// TestWordsFail: a template that does not work on a notice costs nobody the notice.
func TestWordsFail(t *testing.T) {
	broken := template(t, `{{if eq .Incident.Key.Name "ci-deploy"}}{{index .Facts 99}}{{end}}`)
	if n := told(t, notify.NewWords(broken, broken)); n.Title != told(t, nil).Title {
		t.Errorf("got %q, want the notice as it is composed", n.Title)
	}
}

func TestTemplateFaults(t *testing.T) {
	for text, want := range map[string]struct {
		line int
		text string
	}{
		"{{.Title":                         {1, "unclosed action"},
		"a\nb {{end}}":                     {2, "unexpected {{end}}"},
		"a\n{{.Nothing}}":                  {2, "can't evaluate field Nothing"},
		"{{range .Facts}}\n{{.No}}{{end}}": {2, "can't evaluate field No"},
		"{{if .Count}}{{.No}}{{end}}":      {1, "can't evaluate field No"},
		`{{env "HOME"}}`:                   {1, `function "env" not defined`},
		`{{define "x"}}{{template "x"}}{{end}}{{template "x"}}`:         {1, "maximum template depth"},
		`{{range 100000}}a long text that comes again and again{{end}}`: {0, "too much"},
	} {
		_, err := notify.ParseTemplate(text)
		fault, ok := errors.AsType[*notify.TemplateFault](err)
		if !ok || fault.Line != want.line || !strings.Contains(fault.Text, want.text) {
			t.Errorf("%s: got %+v, want line %d, %q", text, err, want.line, want.text)
		}
	}
}
