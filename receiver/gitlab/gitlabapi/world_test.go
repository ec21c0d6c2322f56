package gitlabapi_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/collect/collecttest"
	"stanch/receiver/gitlab/gitlabapi"
	"stanch/receiver/gitlab/gitlabclient"
	"stanch/receiver/gitlabfake"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// sourceName is what the source is called in these tests; its hooks deliver to a URL that ends with it.
const sourceName = "acme-hooks"

// ourHook is the group's hook that delivers to the source, where nobody listens.
var ourHook = gitlabfake.Hook{URL: "http://127.0.0.1:1/hooks/" + sourceName}

// world is a fake GitLab and a vendor that asks it.
type world struct {
	*gitlabfake.Server
	vendor collect.Vendor
	config gitlabclient.Config
	group  string
	token  leak.Secret // of the vendor
	log    *strings.Builder
}

// newWorld starts a fake with the group acme and opens a vendor with a token that may do everything there.
func newWorld(t *testing.T, o gitlabfake.Options) *world {
	t.Helper()
	server, err := gitlabfake.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	w := &world{Server: server, group: "Acme", log: new(strings.Builder)}
	w.AddProject("Acme/Shop")
	w.token = w.AddToken(gitlabfake.Token{Name: "ours", Login: "stanch-bot"})
	w.config = gitlabclient.Config{URL: server.URL(), TokenFile: writeFile(t, w.token.Reveal())}
	w.open(t)
	return w
}

// open opens the vendor anew.
func (w *world) open(t *testing.T) {
	t.Helper()
	vendor, err := gitlabapi.Open(w.config, sourceName, w.group, slog.New(slog.NewTextHandler(w.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	w.vendor = vendor
}

// ref is the ref of a vulnerability of Acme/Shop.
func ref(id int64) string { return fmt.Sprintf("acme/shop/-/vulnerabilities/%d", id) }

// number reads the number in a ref.
func number(ref string) int64 {
	n, _ := strconv.ParseInt(ref[strings.LastIndexByte(ref, '/')+1:], 10, 64)
	return n
}

// isOpen reports whether a state is an open one.
func isOpen(state gitlabfake.State) bool {
	return state == gitlabfake.Detected || state == gitlabfake.Confirmed
}

// conforming is the world that the suite asks for.
func (w *world) conforming() collecttest.World {
	return collecttest.World{
		Vendor: w.vendor,
		Add: func(secret leak.Secret, changed time.Time, _ int) string {
			return ref(w.AddVulnerability(gitlabfake.Vulnerability{Project: "Acme/Shop", Secret: secret, CreatedAt: changed}))
		},
		Close:  func(ref, comment string) { w.Change(number(ref), gitlabfake.Dismissed, "", comment) },
		Remove: func(ref string) { w.Remove(number(ref)) },
		State: func(ref string) collecttest.State {
			v, _ := w.Vulnerability(number(ref))
			return collecttest.State{Open: isOpen(v.State), Comment: v.Comment}
		},
		Foreign: "globex/shop/-/vulnerabilities/1", Absent: ref(4711),
		Own: w.token, URL: w.URL(),
		Calls: func() int { return w.Count("", "", 0) }, PageSize: 100, MaxPlaces: 1,
		Break: w.spoil, Mend: w.ClearFaults,
		Redirect: func(url string) {
			fault := vendorfake.Redirect(http.StatusMovedPermanently, url)
			fault.Times = vendorfake.Forever
			w.AddFault(fault)
		},
	}
}

const plainPage = "<html><title>Welcome</title></html>"

// spoil breaks every answer in one way.
func (w *world) spoil(how collecttest.Breakage) {
	inJSON, inHTML := map[string]string{"Content-Type": "application/json"}, map[string]string{"Content-Type": "text/html"}
	days := strconv.FormatInt(time.Now().Add(1000*24*time.Hour).Unix(), 10)
	fault := map[collecttest.Breakage]gitlabfake.Fault{
		collecttest.Credential:    {Status: 401, Header: inJSON, Body: `{"message":"401 Unauthorized"}`}, //nolint:misspell // GitLab's word
		collecttest.Forbidden:     {Status: 403, Header: inJSON, Body: `{"error":"insufficient_scope","scope":"api"}`},
		collecttest.Throttle:      {Status: 429, Header: map[string]string{"Retry-After": "7"}, Body: "Retry later\n"},
		collecttest.ServerError:   {Status: 500, Header: inJSON, Body: `{"message":"500 Internal Server Error"}`},
		collecttest.HTML:          vendorfake.BadGateway(),
		collecttest.HTMLSuccess:   vendorfake.SignIn(),
		collecttest.EmptySuccess:  {Status: 200, Header: inJSON, Body: "{}"},
		collecttest.NoSuccess:     {Status: 200, Header: inJSON},
		collecttest.Empty:         {Status: 503},
		collecttest.BareNotFound:  {Status: 404, Header: inHTML, Body: plainPage},
		collecttest.BareForbidden: {Status: 403, Header: inHTML, Body: plainPage},
		collecttest.Cut:           {Cut: true},
		collecttest.Hang:          {Until: make(chan struct{})},
		collecttest.Truncate:      {Truncate: true},
		collecttest.ThrottleAbsurdly: {Status: 429, Body: "Retry later\n", Header: map[string]string{
			"RateLimit-Limit": "2000", "RateLimit-Remaining": "0", "RateLimit-Reset": days,
		}},
		collecttest.Repeat: {
			Op: gitlabfake.QueryGroup, Status: 200,
			Body: `{"data":{"group":{"vulnerabilities":{"nodes":[{"id":"gid://gitlab/Vulnerability/1",` +
				`"detectedAt":"2026-01-02T03:04:05Z","project":{"fullPath":"acme/shop"}}],` +
				`"pageInfo":{"endCursor":"again","hasNextPage":true}}}}}`,
		},
		collecttest.Lie: {
			Op: gitlabfake.MutateResolve, Status: 200,
			Body: `{"data":{"vulnerabilityResolve":{"vulnerability":{"id":"gid://gitlab/Vulnerability/5000000001",` +
				`"state":"DETECTED"},"errors":[]}}}`,
		},
	}[how]
	fault.Times = vendorfake.Forever
	w.AddFault(fault)
}

// planted is what the suite plants.
const planted = "planted-token-4f1c"

// writeFile writes a text into a file of its own, and returns its path.
func writeFile(tb testing.TB, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// detect has so many vulnerabilities found, and waits until GitLab has sent their hooks.
func (w *world) detect(n int) {
	for range n {
		w.Detect(gitlabfake.Vulnerability{Project: "Acme/Shop"})
	}
	w.Wait()
}
