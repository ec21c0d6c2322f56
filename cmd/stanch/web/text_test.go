package web_test

import (
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"stanch/cmd/stanch/web"
)

// TestText shows what strangers may call a key.
func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "",
		"ci-deploy":             "ci-deploy",
		"Schlüssel für 鍵 🔑":     "Schlüssel für 鍵 🔑",
		"<img src=x>":           "<img src=x>",
		"a\u202etxt.exe":        "a[U+202E]txt.exe",
		"zero\u200bwidth\ufeff": "zero[U+200B]width[U+FEFF]",
		"\x1b[2J":               "[U+001B][2J",
		"two\nlines\r\t":        "two[U+000A]lines[U+000D][U+0009]",
		"hangul\u3164filler":    "hangul[U+3164]filler",
		"no\u00a0break":         "no[U+00A0]break",
		"bad\xff":               "bad\uFFFD",
		"tag\U000E0041":         "tag[U+E0041]",
	} {
		if got := web.Shortened(100, text).String(); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	cut := web.Shortened(3, "äöü\u202eß")
	if cut.String() != "äöü" || cut.Whole != "äöü[U+202E]ß" {
		t.Errorf("got %q of %q", cut.String(), cut.Whole)
	}
	if whole := web.Shortened(3, "äöü"); whole.Whole != "" {
		t.Errorf("what is shown whole is said to be cut: %q", whole.Whole)
	}
}

// TestLink tells addresses of the web from what runs.
func TestLink(t *testing.T) {
	for address, want := range map[string]string{
		"https://github.com/acme/shop/blob/main/.env#L1": "https://github.com/acme/shop/blob/main/.env#L1",
		"http://gitlab.example/a?b=c":                    "http://gitlab.example/a?b=c",
		"HTTPS://EXAMPLE.COM/":                           "https://EXAMPLE.COM/",
		"javascript:alert(1)":                            "",
		"\x01javascript:alert(1)":                        "",
		" https://example.com":                           "",
		"data:text/html,x":                               "",
		"//example.com/x":                                "",
		"/incidents":                                     "",
		"https:example.com":                              "",
		"https://":                                       "",
		"vbscript:x":                                     "",
		"":                                               "",
		"https://example.com/%zz":                        "",
	} {
		if got := web.Link(address); got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:               "0 ms",
		1500 * time.Microsecond:    "1 ms",
		59900 * time.Millisecond:   "59 s",
		time.Hour - time.Second:    "59 min",
		25*time.Hour + time.Minute: "25 h 1 min",
		72 * time.Hour:             "3 days",
	} {
		if got := web.Span(d); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}

// FuzzText looks for a text that is not wholly shown, shows something that cannot be seen, or becomes a link that is none.
func FuzzText(f *testing.F) {
	for _, text := range []string{"ci", "a\u202eb", "https://example.com/a b", "\xff\x00", "javascript:alert(1)"} {
		f.Add(text, 10)
	}
	f.Fuzz(func(t *testing.T, text string, most int) {
		if most < 1 {
			return
		}
		shown := web.Shortened(most, text)
		for _, r := range shown.String() + shown.Whole {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) {
				t.Errorf("%q is shown with %U", text, r)
			}
		}
		if long := utf8.RuneCountInString(strings.ToValidUTF8(text, "\uFFFD")) > most; long != (shown.Whole != "") {
			t.Errorf("%q, %d at most: cut is %v", text, most, !long)
		}
		if address := web.Link(text); address != "" {
			if u, err := url.Parse(address); err != nil || u.Scheme != "https" && u.Scheme != "http" {
				t.Errorf("%q becomes the link %q", text, address)
			}
		}
	})
}
