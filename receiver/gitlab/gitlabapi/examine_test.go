package gitlabapi_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"stanch/receiver"
	"stanch/receiver/gitlab/gitlabapi"
	"stanch/receiver/gitlabfake"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// examine returns the findings, one a line.
func (w *world) examine(t *testing.T) string {
	t.Helper()
	var lines []string
	for _, f := range w.vendor.(receiver.Examiner).Examine(t.Context()) {
		lines = append(lines, fmt.Sprintf("%s: %s: %s", f.Result, f.Check, f.Text))
	}
	w.silent(t, lines...)
	return strings.Join(lines, "\n")
}

func TestExamine(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{RateLimit: 1000})
	in := newInbox(t, w)
	id := w.Detect(gitlabfake.Vulnerability{Project: "Acme/Shop", Secret: plantedToken})
	w.Wait()
	got := w.examine(t)
	for _, want := range []string{
		"ok: credential: our token is stanch-bot's, with the scope api", "ok: expiry of our token: GitLab names none",
		"ok: listing vulnerabilities: ", "ok: seeing secrets: ", "ok: hook: the group's hook is on and reports vulnerabilities",
		"ok: deliveries: the last 1 of the group's hook all arrived", "ok: rate limit: ", "ok: clock: ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no finding %q in\n%s", want, got)
		}
	}
	if v, _ := w.Vulnerability(id); v.State != gitlabfake.Detected || len(in.pointers(t)) != 1 {
		t.Errorf("the examination has made it %s", v.State)
	}
}

// TestExamineFaults: every fault is reported, with what to do.
func TestExamineFaults(t *testing.T) {
	for want, spoil := range map[string]func(t *testing.T, w *world){
		"failure: credential: ": func(_ *testing.T, w *world) { w.RevokeTokens() },
		"failure: credential: our token is acme-admin's and lacks the scope api": func(t *testing.T, w *world) {
			w.use(t, gitlabfake.Token{Scopes: []string{"read_api"}})
		},
		"warning: expiry of our token: ": func(t *testing.T, w *world) {
			w.use(t, gitlabfake.Token{ExpiresAt: time.Now().Add(5 * 24 * time.Hour)})
		},
		"failure: listing vulnerabilities: ": func(t *testing.T, w *world) {
			w.use(t, gitlabfake.Token{Role: gitlabfake.Reporter})
		},
		"warning: seeing secrets: the newest vulnerability holds none": func(_ *testing.T, w *world) {
			w.SetSwitches(gitlabfake.Switches{Extract: "absent"})
			w.AddVulnerability(gitlabfake.Vulnerability{Project: "acme/shop", Secret: leak.NewSecret("hunter2")})
		},
		"failure: seeing secrets: ": func(_ *testing.T, w *world) {
			w.add(gitlabfake.Vulnerability{})
			w.AddFault(gitlabfake.Fault{Op: gitlabfake.GetVulnerability, Status: 500})
		},
		"ok: seeing secrets: not tried": func(*testing.T, *world) {},
		"warning: hook: listing hooks: GitLab answers 403": func(t *testing.T, w *world) {
			w.use(t, gitlabfake.Token{Role: gitlabfake.Developer})
		},
		"failure: hook: the group's hook is switched off": func(_ *testing.T, w *world) { w.AddHook(ourHook); w.detect(4) },
		"failure: deliveries: the last 4 ":                func(_ *testing.T, w *world) { w.AddHook(ourHook); w.detect(4) },
		"warning: deliveries: the group's hook has delivered nothing": func(_ *testing.T, w *world) {
			w.AddHook(ourHook)
		},
		"warning: hook: the group's hook reports jobs only": func(_ *testing.T, w *world) {
			w.hook(gitlabfake.JobHooks)
		},
		"failure: hook: the group's hook sends neither": func(_ *testing.T, w *world) { w.hook(gitlabfake.PushHooks) },
		"warning: rate limit: 9 of 100 ": func(_ *testing.T, w *world) {
			w.AddFault(gitlabfake.Fault{Op: gitlabfake.ListHooks, Times: vendorfake.Forever, Status: 500, Header: map[string]string{
				"RateLimit-Limit": "100", "RateLimit-Remaining": "9",
			}})
		},
		"failure: clock: ": func(_ *testing.T, w *world) {
			w.AddFault(gitlabfake.Fault{Times: vendorfake.Forever, Status: 500, Header: map[string]string{
				"Date": "Mon, 02 Jan 2006 15:04:05 GMT",
			}})
		},
	} {
		w := newWorld(t, gitlabfake.Options{})
		spoil(t, w)
		if got := w.examine(t); !strings.Contains(got, want) {
			t.Errorf("no finding %q in\n%s", want, got)
		}
	}
}

// use makes the vendor work with another token.
func (w *world) use(t *testing.T, token gitlabfake.Token) {
	t.Helper()
	w.config.TokenFile = writeFile(t, w.AddToken(token).Reveal())
	w.open(t)
}

// hook gives the group a hook that listens for one kind of event.
func (w *world) hook(trigger string) {
	h := ourHook
	h.Triggers = []string{trigger}
	w.AddHook(h)
}

// TestOpenRefuses: a configuration that cannot work is an error at once, which shows nothing.
func TestOpenRefuses(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{})
	for name, spoil := range map[string]func(){
		"no token file":    func() { w.config.TokenFile = t.TempDir() + "/none" },
		"empty token file": func() { w.config.TokenFile = writeFile(t, "") },
		"another protocol": func() { w.config.URL = "ftp://x" },
		"a token in it":    func() { w.config.URL = "https://" + plantedToken.Reveal() + "@gitlab.example" },
		"no group":         func() { w.group = "../user" },
	} {
		config := w.config
		spoil()
		vendor, err := gitlabapi.Open(w.config, sourceName, w.group, slog.New(slog.DiscardHandler))
		if err == nil || vendor != nil {
			t.Errorf("%s: got no error", name)
		} else {
			w.silent(t, err.Error())
		}
		w.config, w.group = config, "Acme"
	}
	if n := w.Count("", "", 0); n > 0 {
		t.Errorf("Open asked %d times, want never", n)
	}
}
