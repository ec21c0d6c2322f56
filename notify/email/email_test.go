package email_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stanch/notify"
	"stanch/notify/channel"
	"stanch/notify/email"
	"stanch/notify/notifytest"
	"stanch/receiver/leak"
)

const (
	alice = "alice@example.com"
	bob   = "bob@example.com"
)

func open(t testing.TB, s *mailServer, change func(*email.Config)) notify.Notifier {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &email.Config{
		Address: "localhost:" + s.port, CAFile: s.caFile, Username: username, PasswordFile: file,
		From: "stanch <stanch@example.com>", To: []string{alice},
	}
	if change != nil {
		change(c)
	}
	n, err := c.Open("team", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// letter is a mail as its reader has it.
type letter struct {
	header     mail.Header
	subject    string
	text, html string
}

func read(t *testing.T, m received) letter {
	t.Helper()
	message, err := mail.ReadMessage(strings.NewReader(m.data))
	if err != nil {
		t.Fatalf("got %q: %v", m.data, err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	l := letter{header: message.Header, subject: subject}
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("got a mail of %s (%v), want alternatives", kind, err)
	}
	parts := multipart.NewReader(message.Body, parameters["boundary"])
	for _, into := range []*string{&l.text, &l.html} {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		*into = strings.ReplaceAll(string(data), "\r\n", "\n")
	}
	return l
}

// asShown is HTML as it is read, with entities where its own characters are literal, so that they are not confused.
var asShown = strings.NewReplacer("<code>", "`", "</code>", "`", "&#34;", `"`, "&#39;", "'", "&#43;", "+")

func (s *mailServer) shown(t *testing.T, part func(letter) string) func() string {
	return func() string {
		var b strings.Builder
		for _, m := range s.got() {
			l := read(t, m)
			fmt.Fprintln(&b, part(l))
		}
		return b.String()
	}
}

func TestConformance(t *testing.T) {
	for name, row := range map[string]struct {
		part   func(letter) string
		markup []string
	}{
		"text": {func(l letter) string { return l.subject + "\n" + l.text }, nil},
		"html": {func(l letter) string { return asShown.Replace(l.html) }, []string{
			"<b>ci</b>", "<script>alert(1)</script>", `<a href="https://evil.example">click</a>`, "</p><h1>ci",
			`<img src=https://evil.example/x>`, "<!--", "&lt;b&gt;",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			notifytest.Run(t, notifytest.Harness{
				Open: func(t *testing.T) (notify.Notifier, func() string) {
					s := start(t, false)
					return open(t, s, nil), s.shown(t, row.part)
				},
				Stalled: func(t *testing.T) (notify.Notifier, <-chan struct{}) {
					s := start(t, false)
					s.stalled = make(chan struct{}, 1)
					return open(t, s, nil), s.stalled
				},
				Broken: func(t *testing.T) notify.Notifier {
					s := start(t, false)
					s.refuse(alice, 550)
					return open(t, s, nil)
				},
				Private: []string{password, alice, "localhost", "127.0.0.1", "planted"},
				Markup:  row.markup,
			})
		})
	}
}

// notice is one of the example's incident, so many seconds after the first.
func notice(severity leak.Severity, seconds int) notify.Notice {
	n := notifytest.Notice(fmt.Sprint("notice ", seconds), severity)
	n.At = time.Date(2026, 11, 21, 14, 3, 5+seconds, 0, time.UTC)
	return n
}

// TestMail: a mail says in its header who it is from, how urgent it is, and that no human wrote it.
func TestMail(t *testing.T) {
	s := start(t, false)
	sent := notice(leak.Critical, 0)
	notifytest.Tell(t, open(t, s, nil), sent)
	got := s.got()
	if len(got) != 1 || !got[0].tls || got[0].from != "stanch@example.com" || got[0].to != alice {
		t.Fatalf("got %+v, want one mail, encrypted on its way", got)
	}
	l := read(t, got[0])
	for name, want := range map[string]string{
		"From": `"stanch" <stanch@example.com>`, "To": "<alice@example.com>", "Auto-Submitted": "auto-generated",
		"Importance": "high", "Date": "Sat, 21 Nov 2026 14:03:05 +0000", "User-Agent": "", "Bcc": "",
	} {
		if got := l.header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if want := "CRITICAL: " + sent.Title; l.subject != want {
		t.Errorf("got the subject %q, want %q", l.subject, want)
	}
}

// TestThread: the first mail begins a thread, the others answer it, and other incidents have their own.
func TestThread(t *testing.T) {
	s := start(t, false)
	memory := channel.NewMemory()
	other := notice(leak.Info, 3)
	other.Incident.ID = "other"
	for _, sent := range []notify.Notice{notice(leak.Critical, 0), notice(leak.Info, 1), notice(leak.Info, 2), other} {
		n := open(t, s, nil) // after a restart
		n.(notify.Remembering).Remember(memory)
		notifytest.Tell(t, n, sent)
	}
	ids := map[string]bool{}
	var root string
	for i, m := range s.got() {
		header := read(t, m).header
		id := header.Get("Message-ID")
		if ids[id] || !strings.HasSuffix(id, "@example.com>") {
			t.Errorf("mail %d: got the id %q, want one of its own", i, id)
		}
		ids[id] = true
		if i == 0 {
			root = id
		}
		want := root
		if i == 0 || i == 3 {
			want = ""
		}
		if header.Get("References") != want || header.Get("In-Reply-To") != want {
			t.Errorf("mail %d: got an answer to %q, want to %q", i, header.Get("References"), want)
		}
	}
}

// TestRecipients: each has a mail of their own; who got it does not get it again when others are tried again.
func TestRecipients(t *testing.T) {
	s := start(t, false)
	n := open(t, s, func(c *email.Config) { c.To = []string{alice, "Bob <" + bob + ">"} })
	s.refuse(alice, 451)
	err := n.Notify(t.Context(), notice(leak.Info, 0))
	if _, refused := errors.AsType[*notify.Refused](err); err == nil || refused {
		t.Fatalf("got %v, want an error that may pass", err)
	}
	s.refuse(alice, 0)
	notifytest.Tell(t, n, notice(leak.Info, 0), notice(leak.Info, 0))
	var to []string
	for _, m := range s.got() {
		to = append(to, m.to)
	}
	if fmt.Sprint(to) != fmt.Sprint([]string{bob, alice}) {
		t.Errorf("got mails to %v, want one to each", to)
	}
}

// TestRefusedRecipient: one mailbox that is gone keeps nobody else from being told, and is logged without its name.
func TestRefusedRecipient(t *testing.T) {
	s := start(t, false)
	var log bytes.Buffer
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := (&email.Config{
		Address: "localhost:" + s.port, CAFile: s.caFile, Username: username, PasswordFile: file,
		From: "stanch@example.com", To: []string{alice, bob},
	}).Open("team", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s.refuse(alice, 550)
	notifytest.Tell(t, n, notice(leak.Info, 0))
	if got := s.got(); len(got) != 1 || got[0].to != bob {
		t.Errorf("got %v, want a mail to the other", got)
	}
	if got := log.String(); !strings.Contains(got, "550") || strings.Contains(got, "alice") || strings.Contains(got, "planted") {
		t.Errorf("got the log %q, want the code alone", got)
	}
	s.refuse(bob, 550)
	err = n.Notify(t.Context(), notice(leak.Info, 1))
	if _, refused := errors.AsType[*notify.Refused](err); !refused {
		t.Errorf("got %v, want a refusal", err)
	}
}

// TestEncryption: nothing is sent, and no password, unless the way to the server is encrypted and the server is who it
// should be. In capitals the name of this machine is not known for one.
func TestEncryption(t *testing.T) {
	for name, row := range map[string]struct {
		plain  bool
		change func(*email.Config)
		sent   bool
	}{
		"another machine with STARTTLS":    {false, func(c *email.Config) { c.Address = strings.ToUpper(c.Address) }, true},
		"another machine without STARTTLS": {true, func(c *email.Config) { c.Address = strings.ToUpper(c.Address) }, false},
		"another machine, no password": {true, func(c *email.Config) {
			c.Address, c.Username, c.PasswordFile = strings.ToUpper(c.Address), "", ""
		}, false},
		"this machine without STARTTLS": {true, func(c *email.Config) { c.Username, c.PasswordFile = "", "" }, true},
		"certificate of somebody":       {false, func(c *email.Config) { c.CAFile = "" }, false},
	} {
		s := start(t, row.plain)
		n := open(t, s, row.change)
		err := n.Notify(t.Context(), notice(leak.Info, 0))
		if (err == nil) != row.sent || (len(s.got()) == 1) != row.sent {
			t.Errorf("%s: got %v and %d mails, want it sent: %v", name, err, len(s.got()), row.sent)
		}
		finding := n.(notify.Examiner).Examine(t.Context())[0]
		if (finding.Result == leak.Good) != row.sent || strings.Contains(finding.Text, "localhost") {
			t.Errorf("%s: got the finding %v", name, finding)
		}
	}
}

func TestWrongPassword(t *testing.T) {
	s := start(t, false)
	n := open(t, s, func(c *email.Config) { c.Username = "somebody" })
	err := n.Notify(t.Context(), notice(leak.Info, 0))
	if _, refused := errors.AsType[*notify.Refused](err); !refused || strings.Contains(err.Error(), "somebody") {
		t.Errorf("got %v, want a refusal that names nobody", err)
	}
}

// TestHeaderInjection: whatever a title is, the header says what we say.
func TestHeaderInjection(t *testing.T) {
	for _, title := range []string{
		"a\r\nBcc: eve@example.com", "a\nBcc: eve@example.com\n\nbody", "a\rBcc: eve@example.com", "=?utf-8?q?a=0D=0ABcc:_eve?=", "==??utf-8?q?a=0D=0ABcc:_eve?=",
		strings.Repeat("ü", 3000), "a\x00b", "\r\n.\r\nMAIL FROM:<eve@example.com>",
	} {
		s := start(t, false)
		sent := notice(leak.Info, 0)
		sent.Title, sent.Facts[0].Text = title, title
		notifytest.Tell(t, open(t, s, nil), sent)
		got := s.got()
		if len(got) != 1 || got[0].to != alice {
			t.Fatalf("%q: got %v, want one mail to one recipient", title, got)
		}
		l := read(t, got[0])
		if l.header.Get("Bcc") != "" || strings.ContainsAny(l.subject, "\r\n\x00") {
			t.Errorf("%q: got the header %v", title, l.header)
		}
	}
}

func TestOutside(t *testing.T) {
	s := start(t, false)
	for _, internal := range []bool{false, true} {
		n := open(t, s, func(c *email.Config) { c.Internal = internal })
		if n.(notify.Outsider).Outside() == internal {
			t.Errorf("internal %v: got the opposite", internal)
		}
	}
}

// TestPrints: a notifier that ends up in a log shows no credential.
func TestPrints(t *testing.T) {
	n := open(t, start(t, false), nil)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, n); strings.Contains(got, password) {
			t.Errorf("%s: got %s", format, got)
		}
	}
}

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "password")
	if err := os.WriteFile(good, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		change func(*email.Config)
		want   string
	}{
		{func(*email.Config) {}, ""},
		{func(c *email.Config) { c.Username, c.PasswordFile = "", "" }, ""},
		{func(c *email.Config) { c.Address = "smtp.example.com" }, "address must be HOST:PORT"},
		{func(c *email.Config) { c.Address = ":587" }, "address must be HOST:PORT"},
		{func(c *email.Config) { c.Address = "smtp.example.com:smtp" }, "address must be HOST:PORT"},
		{func(c *email.Config) { c.CAFile = good }, "ca_file names a file without a certificate"},
		{func(c *email.Config) { c.CAFile = filepath.Join(dir, "absent") }, "ca_file cannot be read"},
		{func(c *email.Config) { c.Username = "" }, "username is missing"},
		{func(c *email.Config) { c.PasswordFile = "" }, "password_file is missing"},
		{func(c *email.Config) { c.From = "stanch" }, "from must be an address"},
		{func(c *email.Config) { c.From = "stanch@example.com\r\nBcc: eve@example.com" }, "from must be an address"},
		{func(c *email.Config) { c.To = nil }, "to give at least one"},
		{func(c *email.Config) { c.To = []string{alice, "bob"} }, "to[1] must be an address"},
	} {
		c := &email.Config{
			Address: "smtp.example.com:587", Username: username, PasswordFile: good, From: "stanch@example.com", To: []string{alice},
		}
		row.change(c)
		var faults []string
		c.Check(func(field, problem string) { faults = append(faults, field+" "+problem) })
		got := strings.Join(faults, "; ")
		if (got == "") != (row.want == "") || !strings.Contains(got, row.want) || strings.Contains(got, dir) {
			t.Errorf("got the faults %q, want %q and no path", got, row.want)
		}
		if _, err := c.Open("team", slog.New(slog.DiscardHandler)); (err == nil) != (row.want == "") {
			t.Errorf("opening with %q: got %v", row.want, err)
		}
	}
}
