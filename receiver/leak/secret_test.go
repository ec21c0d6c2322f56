package leak_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"expvar"
	"fmt"
	htmltemplate "html/template"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"go.yaml.in/yaml/v4"

	"stanch/receiver/leak"
)

const planted = "planted-token-0123456789abcdef"

// holder has a Secret where fmt ignores methods: in an unexported field, behind a pointer, in a map, in an interface.
type holder struct {
	Public  leak.Secret
	private leak.Secret
	pointer *leak.Secret
	list    []leak.Secret
	table   map[string]leak.Secret
	any     any
}

func newHolder() holder {
	s := leak.NewSecret(planted)
	return holder{s, s, &s, []leak.Secret{s}, map[string]leak.Secret{"k": s}, s}
}

func wantHidden(t *testing.T, how, got string) {
	t.Helper()
	for _, form := range []string{planted, fmt.Sprintf("%x", planted), fmt.Sprintf("%X", planted), fmt.Sprintf("%d", []byte(planted))} {
		if strings.Contains(got, strings.Trim(form, "[]")) {
			t.Errorf("%s shows the secret: %s", how, got)
		}
	}
}

func TestSecretHidesFromEveryVerb(t *testing.T) {
	s := leak.NewSecret(planted)
	h := newHolder()
	for _, flags := range []string{"", "+", "#", "-", " ", "0", "20.10", "+#"} {
		for verb := rune('A'); verb <= 'z'; verb++ {
			format := "%" + flags + string(verb)
			for _, v := range []any{s, &s, h, &h, []any{s, h}, struct{ s leak.Secret }{s}, errors.Join(fmt.Errorf("x %v", s))} {
				wantHidden(t, format, fmt.Sprintf(format, v))
			}
		}
	}
	if got := fmt.Sprint(s); got != "[secret]" {
		t.Errorf("Sprint: got %q, want [secret]", got)
	}
}

func TestSecretHidesFromEncoders(t *testing.T) {
	s := leak.NewSecret(planted)
	exported := struct{ S leak.Secret }{s}
	encoders := map[string]func(v any) (string, error){
		"json": func(v any) (string, error) { b, err := json.Marshal(v); return string(b), err },
		"xml":  func(v any) (string, error) { b, err := xml.Marshal(v); return string(b), err },
		"yaml": func(v any) (out string, err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("panic: %v", p)
				}
			}()
			b, err := yaml.Dump(v)
			return string(b), err
		},
		"gob": func(v any) (string, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(v)
			return b.String(), err
		},
	}
	for name, encode := range encoders {
		for _, v := range []any{s, &s, exported, &exported, []leak.Secret{s}} {
			got, err := encode(v)
			wantHidden(t, name, got)
			if err == nil {
				t.Errorf("%s: encoding %T was not refused: %q", name, v, got)
			} else {
				wantHidden(t, name+" error", err.Error())
			}
		}
	}
}

func TestSecretHidesFromTemplatesAndLogs(t *testing.T) {
	var out bytes.Buffer
	h := newHolder()
	// A template may refuse the secret; either way it does not show it.
	_ = template.Must(template.New("t").Parse(`{{.Public}} {{printf "%s %q %x" .Public .Public .Public}}`)).Execute(&out, h)
	_ = htmltemplate.Must(htmltemplate.New("h").Parse(`<a title="{{.Public}}" href="/{{.Public}}">{{.Public}}</a>`)).Execute(&out, h)
	_ = htmltemplate.Must(htmltemplate.New("j").Parse(`<script>x = {{.Public}}</script>`)).Execute(&out, h)
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(handler).Info("test", "secret", h.Public, "pointer", h.pointer, "holder", h, "list", h.list, "any", h.any)
		slog.New(handler).Info("test", slog.Group("g", "table", h.table, "private", h.private))
	}
	out.WriteString(expvar.Func(func() any { return fmt.Sprint(h) }).String())
	wantHidden(t, "templates and logs", out.String())
	if !strings.Contains(out.String(), "[secret]") {
		t.Error("nothing was printed at all")
	}
}

func TestSecretEqual(t *testing.T) {
	a, b, c := leak.NewSecret("one"), leak.NewSecret("one"), leak.NewSecret("two")
	if !a.Equal(b) || a.Equal(c) || a.Equal(leak.Secret{}) {
		t.Error("Equal does not compare values")
	}
	if !(leak.Secret{}).Empty() || a.Empty() {
		t.Error("Empty does not tell the zero Secret")
	}
	if a.Reveal() != "one" {
		t.Error("Reveal does not return the value")
	}
}

func TestActionStronger(t *testing.T) {
	order := []leak.Action{"", leak.Nothing, leak.Disable, leak.Delete}
	for i, a := range order {
		for j, b := range order {
			if got, want := a.Stronger(b), i > j; got != want {
				t.Errorf("%q stronger than %q: got %v, want %v", a, b, got, want)
			}
		}
	}
}
