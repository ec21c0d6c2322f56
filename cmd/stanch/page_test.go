package main_test

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"stanch/dispositions/ibmfake"
)

// visit asks for a page, as alice when she is behind a password. It follows no redirection.
func (s *site) visit(path string) (status int, header http.Header, body string) {
	s.t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+s.private+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.browse(request)
}

// submit sends a form.
func (s *site) submit(path string, form url.Values, header map[string]string) (status int, answered http.Header, body string) {
	s.t.Helper()
	request, err := http.NewRequest(http.MethodPost, "http://"+s.private+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, value := range header {
		request.Header.Set(name, value)
	}
	return s.browse(request)
}

func (s *site) browse(request *http.Request) (status int, header http.Header, body string) {
	s.t.Helper()
	request.SetBasicAuth("alice", "correct")
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(text)
}

// wantPage visits a page and looks for texts in it, as a reader sees them.
func (s *site) wantPage(path string, wanted ...string) string {
	s.t.Helper()
	status, _, body := s.visit(path)
	if status != http.StatusOK {
		s.t.Errorf("%s: got %d\n%s", path, status, readable(body))
	}
	for _, want := range wanted {
		if !strings.Contains(readable(body), want) {
			s.t.Errorf("%s: %q is not in\n%s", path, want, readable(body))
		}
	}
	return body
}

var blocks, tags = regexp.MustCompile(`</?(d[dt]|t[dhr]|h[12]|p|li|a|option|span)\b[^>]*>`), regexp.MustCompile(`<[^>]*>`)

// readable is what a reader sees of a page, more or less.
func readable(body string) string {
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(blocks.ReplaceAllString(body, " "), ""))), " ")
}

// listed are the ids in the list of a page, in its order.
func listed(body string) (ids []string) {
	for _, found := range regexp.MustCompile(`<th scope="row"><a href="/incidents/([0-9a-f]{64})"`).FindAllStringSubmatch(body, -1) {
		ids = append(ids, found[1])
	}
	return ids
}

// TestPage reads the page of a service that lets nobody sign in.
func TestPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.start()
	s.wantPage("/", "Nothing needs attention now.", "No incident yet.", "Queue of alerts empty", "Dead letters none",
		"Source gh no delivery since the start", "Notifier console 0 delivered", "This page reloads every 30 seconds.")
	s.wantPage("/dead", "There is none.")
	key, id := s.one(ibmfake.Key{Setting: "disable", Locked: true}, "failed")
	s.wantPage("/", "failed 1", "demo", "the key is locked", "1 stored", id[:12])
	body := s.wantPage("/incidents/"+id, `ibm key "demo" may still work: disabling it did not succeed`, "What was done", "Rule: key.",
		"Unlock the key at ibm", key.id, "told by gh", "seen by engine", "To act from here, sign in",
		"stanch incidents retry "+id[:12]+` --reason "..."`, "stanch incidents close "+id[:12])
	for _, wrong := range []string{"<form", "button", plant} {
		if strings.Contains(body, wrong) {
			t.Errorf("%q is in a page for somebody who did not sign in", wrong)
		}
	}
	s.wantPage("/incidents/"+id+"/close", "The key goes on working, for whoever found it too.", "To act from here, sign in")
	status, _, _ := s.submit("/incidents/"+id+"/close", url.Values{"reason": {"because"}}, nil)
	if status != http.StatusUnauthorized {
		t.Errorf("a form of nobody: got %d, want 401", status)
	}
	if state := s.incidents()[0].State; state != "failed" {
		t.Errorf("the incident is %s", state)
	}
	for path, want := range map[string]int{
		"/?state=helld": 400, "/?q=" + strings.Repeat("x", 201): 400, "/incidents/zz": 404, "/incidents/": 404, "/nothing": 404,
		"/incidents/" + id + "/explode": 404, "/held/approve?issuer=ibm&account=a": 404, "/held/undo": 404, "/incidents/" + id[:8]: 200,
	} {
		if status, _, body := s.visit(path); status != want {
			t.Errorf("%s: got %d, want %d: %s", path, status, want, readable(body))
		}
	}
}

// TestPageHeaders looks at what a page lets a browser do.
func TestPageHeaders(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.start()
	_, header, body := s.visit("/")
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
		"Content-Type": "text/html; charset=utf-8",
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; " +
			"frame-ancestors 'none'",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if strings.Contains(body, "<script") || strings.Contains(body, " style=") || strings.Contains(body, "<style") {
		t.Error("the page has a script or a style of its own")
	}
	files := regexp.MustCompile(`"(/assets/[^"]+)"`).FindAllStringSubmatch(body, -1)
	if len(files) < 2 {
		t.Fatalf("the page loads %v", files)
	}
	for _, file := range files {
		status, header, _ := s.visit(file[1])
		if status != http.StatusOK || !strings.Contains(header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: got %d, %v", file[1], status, header)
		}
	}
}

// TestPageList looks for incidents in more than one part of the list.
func TestPageList(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "policy: {fuse: {max: 1000, per: 1h}}\n")
	s.start()
	var records []record
	for n := range 60 {
		k := leaked{key: ibmfake.Key{Setting: "disable", Name: fmt.Sprintf("Name-%02d", n), Value: secret(fmt.Sprintf("%s%032d", plant, n))}}
		if n%2 == 0 {
			k.key.Setting = "none"
		}
		k.id, _ = s.iam.AddKey(k.key)
		records = append(records, k.record())
	}
	if status := s.post(records); status != http.StatusNoContent {
		t.Fatalf("got %d", status)
	}
	s.waitFor("30 left and 30 contained", func() bool {
		scrape := s.get("/metrics")
		return gauge(scrape, `stanch_incidents{state="left"}`) == 30 && gauge(scrape, `stanch_incidents{state="contained"}`) == 30
	})
	first := s.wantPage("/", "left 30", "contained 30")
	older := regexp.MustCompile(`href="([^"]*)" rel="next"`).FindStringSubmatch(first)
	if len(listed(first)) != 50 || older == nil {
		t.Fatalf("the first part has %d incidents; %v follows", len(listed(first)), older)
	}
	second := s.wantPage(html.UnescapeString(older[1]), "Newest")
	all := append(listed(first), listed(second)...)
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 60 {
		t.Errorf("both parts have %d incidents, want 60", n)
	}
	for query, want := range map[string]int{"?state=left": 30, "?q=name-07": 1, "?state=left&q=NAME-08": 1, "?state=left&q=NAME-07": 0, "?q=name-0": 10, "?after=" + strings.Repeat("0", 64): 0} {
		if n := len(listed(s.wantPage("/" + query))); n != want {
			t.Errorf("%s: %d incidents, want %d", query, n, want)
		}
	}
	if body := s.wantPage("/?reload=off&state=left", "This page does not reload by itself."); strings.Contains(body, "http-equiv") {
		t.Error("the page reloads although it is not to")
	}
}

// TestPageActs signs in, and gives orders by forms.
func TestPageActs(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "policy: {rules: [{name: ask, when: 'key.name == \"demo\"', action: disable, approval: true}]}\n")
	s.askForPassword()
	s.startBehindPassword()
	key, id := s.one(ibmfake.Key{Setting: "disable"}, "held")
	path := "/incidents/" + id + "/approve"
	s.wantPage("/incidents/"+id, "Signed in as alice.", "held", "Approve…", "Reject…")
	s.wantPage(path, "Approve: demo", key.id, "The action is to disable the key, and to prove it.", "Calls with this key will be refused", "It can be undone", "Your name, alice")
	good := url.Values{"reason": {"checked with the owner"}}
	for _, test := range []struct {
		name, path string
		form       url.Values
		header     map[string]string
		want       int
		says       string
	}{
		{"from another page", path, good, map[string]string{"Sec-Fetch-Site": "cross-site"}, 403, "from another page: nothing was done"},
		{"from another origin", path, good, map[string]string{"Origin": "https://evil.example"}, 403, "from another page"},
		{"from nowhere", path, good, map[string]string{"Origin": "null"}, 403, "from another page"},
		{"no reason", path, url.Values{}, nil, 400, "give a reason"},
		{"two lines", path, url.Values{"reason": {"two\nlines"}}, nil, 400, "one line of text"},
		{"the key itself", path, url.Values{"reason": {"it is " + key.key.Value.Reveal()}}, nil, 400, "holds a leaked secret"},
		{"too much", path, url.Values{"reason": {strings.Repeat("x", 20000)}}, nil, 400, "cannot be read"},
		{"no such action", "/incidents/" + id + "/explode", good, nil, 404, "no such action"},
		{"no such incident", "/incidents/" + strings.Repeat("0", 64) + "/close", good, nil, 404, "no such incident"},
		{"what cannot be", "/incidents/" + id + "/retry", good, nil, 409, "approve or reject it"},
		{"an account that is none", "/held/approve", good, nil, 400, "give the issuer and the account"},
	} {
		status, _, body := s.submit(test.path, test.form, test.header)
		if status != test.want || !strings.Contains(readable(body), test.says) {
			t.Errorf("%s: got %d, want %d and %q: %.300s", test.name, status, test.want, test.says, readable(body))
		}
		if strings.Contains(body, plant) {
			t.Errorf("%s: the answer holds a secret", test.name)
		}
	}
	if now, there := s.iam.Key(key.id); !alive(now, there) {
		t.Fatal("the key is not as it was")
	}
	status, header, _ := s.submit(path, good, map[string]string{"Sec-Fetch-Site": "same-origin"})
	to := header.Get("Location")
	if status != http.StatusSeeOther || !strings.HasPrefix(to, "/incidents/"+id+"?") {
		t.Fatalf("got %d to %q", status, to)
	}
	s.wantPage(to, "approved to disable the key: checked with the owner", "contained", "by alice", "Undo…")
	if now, there := s.iam.Key(key.id); !disabled(now, there) {
		t.Error("the key is not disabled")
	}
	s.wantPage("/incidents/"+id+"/undo", "The key is enabled again, and works as before, for whoever found it too.")
	s.submit("/incidents/"+id+"/undo", url.Values{"reason": {"a test"}}, nil)
	s.wantPage("/incidents/"+id, "works again: disabling it was undone", "closed")
	s.wantPage("/incidents/"+id+"/retry", "Policy decides again.", "by ask", "Nothing happens before a person approves")
	s.wantNothingPlanted()
}

// TestPageReleases releases all that the fuse holds of an account by a form.
func TestPageReleases(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "policy: {fuse: {max: 1, per: 1h}}\n")
	s.askForPassword()
	s.startBehindPassword()
	var records []record
	for n := range 8 {
		k := leaked{key: ibmfake.Key{Setting: "disable", Name: fmt.Sprintf("key-%d", n), Value: secret(fmt.Sprintf("%s%032d", plant, n))}}
		k.id, _ = s.iam.AddKey(k.key)
		records = append(records, k.record())
	}
	s.post(records)
	held := func() string {
		_, _, body := s.visit("/")
		return readable(body)
	}
	s.waitFor("7 held", func() bool { return strings.Contains(held(), "The fuse holds 7 keys of ibm, account ") })
	link := regexp.MustCompile(`href="(/held/approve\?[^"]*)"`).FindStringSubmatch(s.wantPage("/", "Release all…"))
	if link == nil {
		t.Fatal("nothing leads to a release")
	}
	path := html.UnescapeString(link[1])
	body := s.wantPage(path, "Release all: 7 keys of account", "Every one of these keys is disabled")
	form := url.Values{"reason": {"all leaked"}}
	for _, field := range regexp.MustCompile(`type="hidden" name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	status, header, _ := s.submit("/held/approve", form, nil)
	if status != http.StatusSeeOther {
		t.Fatalf("got %d", status)
	}
	s.wantPage(header.Get("Location"), "approve: 7 incidents of account")
	s.waitFor("all contained", func() bool {
		return strings.Contains(held(), "contained 8") && strings.Contains(held(), "Nothing needs attention now.")
	})
}
