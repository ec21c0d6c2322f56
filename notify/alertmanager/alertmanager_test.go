package alertmanager_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"stanch/notify"
	"stanch/notify/alertmanager"
	"stanch/notify/channel"
	"stanch/notify/notifytest"
	"stanch/receiver/leak"
)

const password = "planted-password-0123456789"

// alert is one of API v2.
type alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
}

// fires reports whether an alert fires for longer than a while.
func (a alert) fires(d time.Duration) bool { return a.EndsAt.After(time.Now().Add(d)) }

// fake plays an Alertmanager: it keeps every alert that it took.
type fake struct {
	*httptest.Server
	mu     sync.Mutex
	fault  func(http.ResponseWriter) bool
	alerts []alert
	posts  chan struct{}
}

func start(t *testing.T) *fake {
	f := &fake{posts: make(chan struct{}, 1000)}
	mux := http.NewServeMux()
	mux.HandleFunc("/am/api/v2/alerts", f.call(f.post))
	mux.HandleFunc("/am/api/v2/status", f.call(func(http.ResponseWriter, *http.Request) {}))
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) fail(fault func(http.ResponseWriter) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *fake) call(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		fault := f.fault
		f.mu.Unlock()
		if fault != nil && fault(w) {
			return
		}
		if name, given, _ := r.BasicAuth(); name != "stanch" || given != password {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

var goodName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// post refuses what an Alertmanager refuses.
func (f *fake) post(w http.ResponseWriter, r *http.Request) {
	var alerts []alert
	if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&alerts) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, a := range alerts {
		bad := len(a.Labels) == 0 || a.EndsAt.Before(a.StartsAt)
		for name := range a.Labels {
			bad = bad || !goodName.MatchString(name)
		}
		if bad {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	f.mu.Lock()
	f.alerts = append(f.alerts, alerts...)
	f.mu.Unlock()
	select {
	case f.posts <- struct{}{}:
	default:
	}
}

func (f *fake) taken() []alert {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]alert(nil), f.alerts...)
}

func (f *fake) shown() string {
	var b strings.Builder
	for _, a := range f.taken() {
		fmt.Fprintln(&b, a.Annotations["summary"])
		fmt.Fprintln(&b, a.Annotations["description"])
		fmt.Fprintln(&b, a.Annotations["link"])
	}
	return b.String()
}

func open(t *testing.T, change func(*alertmanager.Config), urls ...string) notify.Notifier {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &alertmanager.Config{BasicAuth: alertmanager.BasicAuth{Username: "stanch", PasswordFile: file}}
	for _, url := range urls {
		c.URLs = append(c.URLs, url+"/am/")
	}
	if change != nil {
		change(c)
	}
	n, err := c.Open("am", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestConformance(t *testing.T) {
	notifytest.Run(t, notifytest.Harness{
		Open: func(t *testing.T) (notify.Notifier, func() string) {
			f := start(t)
			return open(t, nil, f.URL), f.shown
		},
		Stalled: func(t *testing.T) (notify.Notifier, <-chan struct{}) {
			f := start(t)
			reached, over := make(chan struct{}, 1), make(chan struct{})
			t.Cleanup(func() { close(over) })
			f.fail(func(http.ResponseWriter) bool {
				reached <- struct{}{}
				<-over
				return true
			})
			return open(t, nil, f.URL), reached
		},
		Answers: func(t *testing.T, status int, retryAfter string) notify.Notifier {
			f := start(t)
			f.fail(func(w http.ResponseWriter) bool {
				if retryAfter != "" {
					w.Header().Set("Retry-After", retryAfter)
				}
				w.WriteHeader(status)
				return true
			})
			return open(t, nil, f.URL)
		},
		Broken: func(t *testing.T) notify.Notifier {
			f := start(t)
			f.fail(func(w http.ResponseWriter) bool {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte("a planted word"))
				return true
			})
			return open(t, nil, f.URL)
		},
		Private: []string{password, "127.0.0.1", "/am", "planted"},
	})
}

// notice is one of the example's incident, so many seconds after the first.
func notice(phase notify.Phase, state leak.State, severity leak.Severity, seconds int) notify.Notice {
	n := notifytest.Notice("notice", severity)
	n.Phase, n.Incident.State = phase, state
	n.At = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(seconds) * time.Second)
	n.Title = fmt.Sprintf("%s after %d s", state, seconds)
	n.ID = n.Title
	return n
}

// TestLife: what a story of notices leaves firing.
func TestLife(t *testing.T) {
	failed := notice(notify.Opened, leak.Failed, leak.Critical, 0)
	for name, row := range map[string]struct {
		notices []notify.Notice
		want    []string // state, severity and end of every alert that was sent
	}{
		"failed, then contained": {
			[]notify.Notice{failed, notice(notify.Settled, leak.Contained, leak.Warning, 1)},
			[]string{"failed critical lease: failed after 0 s", "failed critical ended: contained after 1 s"},
		},
		"failed, then held": {
			[]notify.Notice{failed, notice(notify.Opened, leak.Held, leak.Warning, 1)},
			[]string{"failed critical lease: failed after 0 s", "held warning lease: held after 1 s", "failed critical ended: failed after 0 s"},
		},
		"contained at once is news": {
			[]notify.Notice{notice(notify.Settled, leak.Contained, leak.Warning, 0)},
			[]string{"contained warning hour: contained after 0 s"},
		},
		"taken": {
			[]notify.Notice{failed, notice(notify.Taken, leak.Failed, leak.Warning, 1)},
			[]string{"failed critical lease: failed after 0 s"},
		},
		"settled, and delivered twice": {
			[]notify.Notice{
				failed, notice(notify.Settled, leak.Contained, leak.Warning, 1), notice(notify.Settled, leak.Contained, leak.Warning, 1),
			},
			[]string{"failed critical lease: failed after 0 s", "failed critical ended: contained after 1 s"},
		},
		"overtaken": {
			[]notify.Notice{notice(notify.Settled, leak.Contained, leak.Warning, 1), failed},
			[]string{"contained warning hour: contained after 1 s"},
		},
		"delivered twice": {
			[]notify.Notice{failed, failed},
			[]string{"failed critical lease: failed after 0 s"},
		},
	} {
		f := start(t)
		notifytest.Tell(t, open(t, nil, f.URL), row.notices...)
		var got []string
		for _, a := range f.taken() {
			end := "ended"
			if a.fires(30 * time.Minute) {
				end = "hour"
			} else if a.fires(5 * time.Minute) {
				end = "lease"
			}
			got = append(got, fmt.Sprintf("%s %s %s: %s", a.Labels["state"], a.Labels["severity"], end, a.Annotations["summary"]))
		}
		if fmt.Sprint(got) != fmt.Sprint(row.want) {
			t.Errorf("%s: got\n%q, want\n%q", name, got, row.want)
		}
	}
}

// TestLabels: labels are few, and their values of closed sets but for the incident.
func TestLabels(t *testing.T) {
	f := start(t)
	notifytest.Tell(t, open(t, nil, f.URL), notice(notify.Opened, leak.Held, leak.Warning, 0))
	got, _ := json.Marshal(f.taken()[0].Labels)
	const want = `{"alertname":"LeakedKey","incident":"9f86d0819f86","issuer":"ibm","severity":"warning","state":"held"}`
	if string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := f.taken()[0].GeneratorURL; !strings.HasPrefix(got, "https://stanch.example.com/") {
		t.Errorf("got the generator %q, want the incident's page", got)
	}
}

// TestGroup: a group is one alert that ends by itself, and ends what fires for its members.
func TestGroup(t *testing.T) {
	f := start(t)
	before := notice(notify.Opened, leak.Held, leak.Warning, 0)
	group := notice(notify.Opened, "", leak.Critical, 1)
	group.Incident.ID, group.Count = "group", 2
	never := before.Incident
	never.ID = "never opened"
	group.Members = []notify.Member{
		{Incident: before.Incident, Phase: notify.Settled}, {Incident: never, Phase: notify.Settled},
	}
	notifytest.Tell(t, open(t, nil, f.URL), before, group)
	got := f.taken()
	if len(got) != 3 || got[1].Labels["state"] != "held" || got[1].fires(0) ||
		got[2].Labels["alertname"] != "LeakedKeys" || !got[2].fires(time.Hour) {
		t.Errorf("got %v, want the member's alert ended and one for the group", got)
	}
}

// TestSendsAgain: what fires is sent again, after a restart too; what is settled is not.
func TestSendsAgain(t *testing.T) {
	f := start(t)
	memory := channel.NewMemory()
	firing := notice(notify.Opened, leak.Failed, leak.Critical, 0)
	other := notice(notify.Opened, leak.Held, leak.Warning, 0)
	other.Incident.ID = "other"
	ended := notice(notify.Settled, leak.Closed, leak.Info, 1)
	ended.Incident.ID = other.Incident.ID
	n := open(t, nil, f.URL)
	n.(notify.Remembering).Remember(memory)
	notifytest.Tell(t, n, firing, other, ended)
	before := len(f.taken())

	n = open(t, func(c *alertmanager.Config) { c.Repeat = time.Millisecond }, f.URL)
	n.(notify.Remembering).Remember(memory)
	for len(f.posts) > 0 {
		<-f.posts
	}
	run(t, n, func() {
		for range 3 {
			<-f.posts
		}
	})
	for _, a := range f.taken()[before:] {
		if a.Labels["state"] != "failed" || !a.fires(5*time.Minute) {
			t.Errorf("got %v again, want what fires and nothing else", a)
		}
	}
}

// run runs a notifier while something is done.
func run(t *testing.T, n notify.Notifier, during func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.(notify.Runner).Run(ctx) }()
	during()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v, want nil when the context ends", err)
	}
}

// TestPlacesAreForgotten: where a key was seen is told, and not remembered; what else fires keeps its words.
func TestPlacesAreForgotten(t *testing.T) {
	f := start(t)
	memory := channel.NewMemory()
	n := open(t, func(c *alertmanager.Config) { c.Repeat = time.Millisecond }, f.URL)
	n.(notify.Remembering).Remember(memory)
	sent := notifytest.Notice("notice", leak.Critical)
	notifytest.Tell(t, n, sent)
	url := sent.Seen[0].URL
	kept, err := memory.Load(t.Context(), sent.Incident.ID)
	if err != nil || strings.Contains(kept, url) || !strings.Contains(kept, "What to do next") {
		t.Errorf("got %q (%v), want the alert without %s", kept, err, url)
	}
	<-f.posts
	run(t, n, func() { <-f.posts })
	for _, a := range f.taken() {
		if !strings.Contains(a.Annotations["description"], url) {
			t.Errorf("got %v, want where the key was seen while the process runs", a)
		}
	}
}

// TestSeveral: one Alertmanager of a cluster is enough, and only the last is a failure.
func TestSeveral(t *testing.T) {
	one, two := start(t), start(t)
	var log bytes.Buffer
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := (&alertmanager.Config{
		URLs:      []string{one.URL + "/am", two.URL + "/am"},
		BasicAuth: alertmanager.BasicAuth{Username: "stanch", PasswordFile: filepath.Join(dir, "password")},
	}).Open("am", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	notifytest.Tell(t, n, notice(notify.Opened, leak.Held, leak.Warning, 0))
	if len(one.taken()) != 1 || len(two.taken()) != 1 {
		t.Errorf("got %d and %d alerts, want each told", len(one.taken()), len(two.taken()))
	}
	one.fail(func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusBadRequest); return true })
	notifytest.Tell(t, n, notice(notify.Opened, leak.Held, leak.Warning, 1))
	if got := log.String(); !strings.Contains(got, "urls[0]") || strings.Contains(got, "127.0.0.1") {
		t.Errorf("got the log %q, want which of them failed, and no address", got)
	}
	two.fail(func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusBadGateway); return true })
	err = n.Notify(t.Context(), notice(notify.Opened, leak.Held, leak.Warning, 2))
	if _, refused := errors.AsType[*notify.Refused](err); err == nil || refused {
		t.Errorf("got %v, want an error that may pass", err)
	}
	two.fail(func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusBadRequest); return true })
	err = n.Notify(t.Context(), notice(notify.Opened, leak.Held, leak.Warning, 2))
	if _, refused := errors.AsType[*notify.Refused](err); !refused {
		t.Errorf("got %v, want a refusal", err)
	}
}

// TestLimits: however long the words of strangers are, what is remembered fits.
func TestLimits(t *testing.T) {
	f := start(t)
	memory := channel.NewMemory()
	n := open(t, nil, f.URL)
	n.(notify.Remembering).Remember(memory)
	sent := notice(notify.Opened, leak.Held, leak.Warning, 0)
	sent.Title = strings.Repeat("<", 5000)
	for i := range sent.Facts {
		sent.Facts[i].Text = strings.Repeat("<", 5000)
	}
	notifytest.Tell(t, n, sent)
	kept, err := memory.Load(t.Context(), sent.Incident.ID)
	if err != nil || len(kept) > notify.MaxMemory {
		t.Errorf("got %d bytes (%v), want 32 KiB at most", len(kept), err)
	}
}

func TestExamine(t *testing.T) {
	one, two := start(t), start(t)
	two.fail(func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusForbidden); return true })
	got := open(t, nil, one.URL, two.URL).(notify.Examiner).Examine(t.Context())
	if len(got) != 2 || got[0].Result != leak.Good || got[1].Result != leak.Broken {
		t.Errorf("got %v, want the first good and the second broken", got)
	}
	for _, finding := range got {
		if strings.Contains(finding.Text, "127.0.0.1") {
			t.Errorf("got %q, want no address", finding.Text)
		}
	}
}

// TestPrints: a notifier that ends up in a log shows no credential.
func TestPrints(t *testing.T) {
	n := open(t, nil, "https://example.com")
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
	auth := alertmanager.BasicAuth{Username: "stanch", PasswordFile: good}
	for _, row := range []struct {
		config alertmanager.Config
		want   string
	}{
		{alertmanager.Config{URLs: []string{"http://alertmanager:9093", "https://am.example/prefix"}}, ""},
		{alertmanager.Config{URLs: []string{"https://am.example"}, BasicAuth: auth, Repeat: 5 * time.Minute}, ""},
		{alertmanager.Config{}, "urls give at least one"},
		{alertmanager.Config{URLs: []string{"https://am.example", "am:9093"}}, "urls[1] must be an https URL"},
		{alertmanager.Config{URLs: []string{"http://am.example"}, BasicAuth: auth}, "urls[0] must be https"},
		{alertmanager.Config{URLs: []string{"https://u:p@am.example"}}, "urls[0] must hold no user"},
		{alertmanager.Config{URLs: []string{"https://am.example"}, BasicAuth: alertmanager.BasicAuth{Username: "stanch"}}, "basic_auth.password_file is missing"},
		{alertmanager.Config{URLs: []string{"https://am.example"}, BasicAuth: alertmanager.BasicAuth{PasswordFile: good}}, "basic_auth.username is missing"},
		{alertmanager.Config{URLs: []string{"https://am.example"}, Repeat: 6 * time.Minute}, "repeat must be 5m at most"},
		{alertmanager.Config{URLs: []string{"https://am.example"}, Repeat: -1}, "repeat must be 5m at most"},
	} {
		var faults []string
		row.config.Check(func(field, problem string) { faults = append(faults, field+" "+problem) })
		got := strings.Join(faults, "; ")
		if (got == "") != (row.want == "") || !strings.Contains(got, row.want) || strings.Contains(got, dir) {
			t.Errorf("got the faults %q, want %q and no path", got, row.want)
		}
		if _, err := row.config.Open("am", slog.New(slog.DiscardHandler)); (err == nil) != (row.want == "") {
			t.Errorf("opening with %q: got %v", row.want, err)
		}
	}
}
