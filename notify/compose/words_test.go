package compose_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"stanch/notify"
	"stanch/notify/compose"
)

func template(t *testing.T, text string) compose.Template {
	t.Helper()
	parsed, err := compose.ParseTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// told is the notice of an example in an operator's own words.
func told(t *testing.T, words compose.Words) notify.Notice {
	t.Helper()
	n, ok := reader.Notice(examples["disabled"], sightings)
	if !ok {
		t.Fatal("got no notice")
	}
	n, err := words.Write(n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestWords: templates replace title and facts; what they write is plain, and the text as it is composed is one of them.
func TestWords(t *testing.T) {
	composed := told(t, compose.Words{})
	same := told(t, compose.Words{Title: template(t, "{{.Title}}"), Text: template(t, "{{range .Facts}}{{.Name}}: {{.Text}}\n{{end}}")})
	if same.Title != composed.Title || !slices.Equal(same.Facts, composed.Facts) {
		t.Errorf("got %q and %v, want %q and %v", same.Title, same.Facts, composed.Title, composed.Facts)
	}
	own := told(t, compose.Words{
		Title: template(t, "[{{.Severity}}]\n {{.Incident.Key.Name}} \x1b[2J\n"),
		Text:  template(t, "Look here: https://runbooks.example/{{.Incident.Issuer}}\n\n just a line\u202e\n"),
	})
	want := []notify.Fact{{Name: "Look here", Text: "https://runbooks.example/ibm"}, {Name: "Note", Text: "just a line\ufffd"}}
	if own.Title != "[warning] ci-deploy \ufffd[2J" || !slices.Equal(own.Facts, want) {
		t.Errorf("got %q and %q", own.Title, own.Facts)
	}
	half := told(t, compose.Words{Title: template(t, "x")})
	if half.Title != "x" || !slices.Equal(half.Facts, composed.Facts) {
		t.Errorf("got %q and %v", half.Title, half.Facts)
	}
}

// TestWordsFail: a template that does not work on a notice leaves it as it is, with an error.
func TestWordsFail(t *testing.T) {
	broken := template(t, `{{if eq .Incident.Key.Name "ci-deploy"}}{{index .Facts 99}}{{end}}`)
	composed := told(t, compose.Words{})
	if n, err := (compose.Words{Title: broken, Text: broken}).Write(composed); err == nil || !reflect.DeepEqual(n, composed) {
		t.Errorf("got %v, %v, want the notice as it is composed and an error", n, err)
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
		_, err := compose.ParseTemplate(text)
		line := fmt.Sprintf("line %d: ", want.line)
		if err == nil || strings.HasPrefix(err.Error(), line) != (want.line > 0) || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%s: got %+v, want line %d, %q", text, err, want.line, want.text)
		}
	}
}
