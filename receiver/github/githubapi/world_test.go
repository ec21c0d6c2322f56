package githubapi_test

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/collect/collecttest"
	"stanch/receiver/github/githubapi"
	"stanch/receiver/github/githubclient"
	"stanch/receiver/githubfake"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// sourceName is what the source is called in these tests; its hook delivers to a URL that ends with it.
const sourceName = "acme-leaks"

// world is a fake GitHub and a vendor that asks it.
type world struct {
	*githubfake.Server
	vendor       collect.Vendor
	config       githubclient.Config
	organization string
	token        leak.Secret // of the vendor; empty: it is an App
	log          *strings.Builder
}

// newWorld starts a fake and opens a vendor with a token that may do everything.
func newWorld(t *testing.T, o githubfake.Options) *world {
	t.Helper()
	w := startFake(t, o)
	w.token = w.AddToken(githubfake.Token{Name: "ours"})
	w.config.TokenFile = writeFile(t, w.token.Reveal())
	w.open(t)
	return w
}

// newAppWorld starts a fake and opens a vendor that is an App.
func newAppWorld(t *testing.T, o githubfake.Options, a githubfake.App) *world {
	t.Helper()
	w := startFake(t, o)
	a.Key = appKey()
	id, key := w.AddApp(a)
	w.config.App = &githubclient.AppConfig{ID: strconv.FormatInt(id, 10), PrivateKeyFile: writeFile(t, key.Reveal())}
	w.open(t)
	return w
}

// appKey is one key for all tests, because making one takes a moment.
var appKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func startFake(t *testing.T, o githubfake.Options) *world {
	t.Helper()
	server, err := githubfake.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	config := githubclient.Config{URL: server.URL()}
	return &world{Server: server, config: config, organization: "Acme", log: new(strings.Builder)}
}

// open opens the vendor anew.
func (w *world) open(t *testing.T) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(w.log, nil))
	vendor, err := githubapi.Open(w.config, sourceName, w.organization, log)
	if err != nil {
		t.Fatalf("OpenVendor: %v", err)
	}
	w.vendor = vendor
}

func writeFile(tb testing.TB, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// split reads a ref that the fake's tests made.
func split(ref string) (repository string, number int) {
	at := strings.LastIndex(ref, "/")
	number, _ = strconv.Atoi(ref[at+1:])
	return ref[:at], number
}

// conforming is the world that the suite asks for.
func (w *world) conforming() collecttest.World {
	return collecttest.World{
		Vendor: w.vendor,
		Add: func(secret leak.Secret, changed time.Time, places int) string {
			locations := make([]githubfake.Location, places)
			for n := range locations {
				locations[n].Line = n + 1
			}
			number := w.AddAlert(githubfake.Alert{
				Repository: "Acme/Shop", Secret: secret, CreatedAt: changed, Locations: locations,
			})
			return fmt.Sprintf("acme/shop/%d", number)
		},
		Close: func(ref, comment string) {
			repository, number := split(ref)
			w.Act(githubfake.Resolve, repository, number, githubfake.Change{Comment: comment})
		},
		Remove: func(ref string) { w.Remove(split(ref)) },
		State: func(ref string) collecttest.State {
			a, _ := w.Alert(split(ref))
			return collecttest.State{Open: a.State == "open", Comment: a.Comment}
		},
		Foreign: "globex/shop/1", Absent: "acme/shop/4711",
		Own: w.token, URL: strings.TrimSuffix(w.URL(), "/"),
		Calls: func() int { return w.Count("", "", 0) }, PageSize: 100,
		Break: w.spoil, Mend: w.ClearFaults,
		Redirect: func(url string) {
			fault := vendorfake.Redirect(http.StatusMovedPermanently, url)
			fault.Times = vendorfake.Forever
			w.AddFault(fault)
		},
	}
}

const (
	plainPage = "<html><title>Welcome</title></html>"
	someAlert = `{"number":1,"state":"open","updated_at":"2026-01-02T03:04:05Z","repository":{"full_name":"acme/shop"}}`
)

// spoil breaks every answer in one way.
func (w *world) spoil(how collecttest.Breakage) {
	inJSON, inHTML := map[string]string{"Content-Type": "application/json"}, map[string]string{"Content-Type": "text/html"}
	days := strconv.FormatInt(time.Now().Add(1000*24*time.Hour).Unix(), 10)
	fault := map[collecttest.Breakage]githubfake.Fault{
		collecttest.Credential:    {Status: 401, Header: inJSON, Body: `{"message":"Bad credentials"}`},
		collecttest.Forbidden:     {Status: 403, Header: inJSON, Body: `{"message":"Resource not accessible"}`},
		collecttest.Throttle:      githubfake.SecondaryLimit(http.StatusForbidden, "7"),
		collecttest.ServerError:   {Status: 500, Header: inJSON, Body: `{"message":"Server Error"}`},
		collecttest.HTML:          vendorfake.BadGateway(),
		collecttest.HTMLSuccess:   {Status: 200, Header: inHTML, Body: plainPage},
		collecttest.EmptySuccess:  {Status: 200, Header: inJSON, Body: "{}"},
		collecttest.NoSuccess:     {Status: 200, Header: inJSON},
		collecttest.Empty:         {Status: 503},
		collecttest.BareNotFound:  {Status: 404, Header: inHTML, Body: plainPage},
		collecttest.BareForbidden: {Status: 403, Header: inHTML, Body: plainPage},
		collecttest.Cut:           {Cut: true},
		collecttest.Hang:          {Until: make(chan struct{})},
		collecttest.Truncate:      {Truncate: true},
		collecttest.ThrottleAbsurdly: {
			Status: 403, Body: `{"message":"API rate limit exceeded"}`,
			Header: map[string]string{"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": days},
		},
		collecttest.Repeat: {
			Op: githubfake.ListOrgAlerts, Status: 200, Body: "[" + someAlert + "]",
			Header: map[string]string{"Link": `<https://api.github.example/x?after=again>; rel="next"`},
		},
		collecttest.Lie: {Op: githubfake.UpdateAlert, Status: 200, Header: inJSON, Body: someAlert},
	}[how]
	fault.Times = vendorfake.Forever
	w.AddFault(fault)
}
