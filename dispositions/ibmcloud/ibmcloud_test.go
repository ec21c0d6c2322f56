package ibmcloud_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"stanch/dispositions"
	"stanch/dispositions/ibmcloud"
	"stanch/dispositions/ibmfake"
	"stanch/dispositions/issuertest"
	"stanch/receiver/leak"
)

// full is everything that the issuer can do.
type full interface {
	dispositions.Issuer
	dispositions.Reader
	dispositions.Prover
	dispositions.Disabler
	dispositions.Deleter
	dispositions.Enabler
	dispositions.Locker
}

// iam is a fake with a key for stanch, and an issuer that runs on it.
type iam struct {
	*ibmfake.Server
	issuer full
	ownID  string
	own    leak.Secret
}

// ownIAMID is who the issuer under test acts as.
const ownIAMID = "iam-ServiceId-11111111-2222-3333-4444-555555555555"

// startServer starts a fake that stops with the test.
func startServer(t testing.TB, o ibmfake.Options) *ibmfake.Server {
	t.Helper()
	server, err := ibmfake.Start(o)
	if err != nil {
		t.Fatalf("starting the fake: %v", err)
	}
	t.Cleanup(server.Close)
	return server
}

// start starts a fake and opens an issuer on it.
func start(t testing.TB, switches ibmfake.Switches) *iam {
	t.Helper()
	f := &iam{Server: startServer(t, ibmfake.Options{Switches: switches})}
	f.ownID, f.own = f.AddKey(ibmfake.Key{Name: "stanch", IAMID: ownIAMID, Administrator: true})
	f.issuer = open(t, f.URL(), f.own)
	return f
}

// open opens an issuer on a URL.
func open(t testing.TB, url string, own leak.Secret) full {
	t.Helper()
	config := ibmcloud.Config{URL: url, Auth: ibmcloud.Auth{Type: "iam", APIKeyFile: keyFile(t, own.Reveal()+"\n")}}
	issuer, err := config.Open("ibm", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return issuer.(full)
}

// named is a key by its id alone, as the engine names it when the value is not kept any more.
func named(id string) dispositions.Target { return dispositions.Target{Key: leak.Key{ID: id}} }

// keyFile writes a key file.
func keyFile(t testing.TB, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "apikey")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func (f *iam) mustLocate(t testing.TB, secret leak.Secret) leak.Key {
	t.Helper()
	key, err := f.issuer.Locate(context.Background(), secret)
	if err != nil {
		t.Fatalf("Locate: %v", err)
	}
	return key
}

func (f *iam) mustRead(t testing.TB, id string) leak.Key {
	t.Helper()
	key, err := f.issuer.Read(context.Background(), named(id))
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return key
}

func TestConformance(t *testing.T) {
	for _, switches := range ibmfake.Positions() {
		t.Run(fmt.Sprintf("%+v", switches), func(t *testing.T) {
			t.Parallel()
			issuertest.Run(t, issuertest.Harness{New: func(t *testing.T) issuertest.World { return world(t, switches) }})
		})
	}
}

func world(t *testing.T, switches ibmfake.Switches) issuertest.World {
	f := start(t, switches)
	return issuertest.World{
		Issuer: f.issuer,
		AddKey: func(locked bool) dispositions.Target {
			id, secret := f.AddKey(ibmfake.Key{Name: "leaked", Setting: "disable", Locked: locked})
			return dispositions.Target{Key: leak.Key{ID: id}, Secret: secret}
		},
		State: func(t dispositions.Target) issuertest.State {
			k, ok := f.Key(t.Key.ID)
			return issuertest.State{Disabled: k.Disabled, Locked: k.Locked, Gone: !ok}
		},
		Unknown: dispositions.Target{
			Key:    leak.Key{ID: "ApiKey-00000000-0000-0000-0000-000000000000"},
			Secret: leak.NewSecret("nobodyhasthisvalue-nobodyhasthisvalue-123456"),
		},
		Own:   f.own,
		URL:   f.URL(),
		Break: f.breakAs,
		Mend:  f.ClearFaults,
		Redirect: func(status int, to string) {
			f.AddFault(ibmfake.Fault{Status: status, Times: ibmfake.Forever, Header: map[string]string{"Location": to}})
		},
	}
}

// faults are how the fake fails as the suite wants it to, without those that need more than a fault.
var faults = map[issuertest.Breakage]ibmfake.Fault{
	issuertest.Throttle:         {Status: 429, Header: map[string]string{"Retry-After": fmt.Sprint(issuertest.RetryAfter.Seconds())}},
	issuertest.ThrottleAbsurdly: {Status: 429, Header: map[string]string{"Retry-After": "86400000"}},
	issuertest.ThrottleNegative: {Status: 429, Header: map[string]string{"Retry-After": "-5"}},
	issuertest.ThrottleGarbage:  {Status: 429, Header: map[string]string{"Retry-After": "soon"}},
	issuertest.ThrottleUntil:    {Status: 429, Header: map[string]string{"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}},
	issuertest.Stranger: {
		Path: "/identity/token", Status: 400, ContentType: "application/json",
		Body: `{"errorCode":"BXNIM0400E","errorMessage":"External authentication failed."}`,
	},
	issuertest.ServerError: {
		Status: 500, ContentType: "application/json",
		Body: `{"errors":[{"code":"internal","message_code":"BXNIM0003E","message":"https://iam.cloud.ibm.com is not well"}]}`,
	},
	issuertest.HTML:         {Status: 502, ContentType: "text/html", Body: "<html>https://proxy.example/</html>"},
	issuertest.HTMLSuccess:  {Status: 200, ContentType: "text/html", Body: "<html>https://portal.example/</html>"},
	issuertest.EmptySuccess: {Status: 200, ContentType: "application/json", Body: "{}"},
	issuertest.Empty:        {Status: 503},
	issuertest.BareNotFound: {Status: 404, ContentType: "text/html", Body: "<html>no route</html>"},
	issuertest.Redirect:     {Status: 302, Header: map[string]string{"Location": "https://elsewhere.example/"}},
	issuertest.Cut:          {Cut: true},
	issuertest.Hang:         {Delay: 1 << 40, Status: 500},
}

func (f *iam) breakAs(how issuertest.Breakage) {
	fault, ok := faults[how]
	switch {
	case ok:
		fault.Times = ibmfake.Forever
		f.AddFault(fault)
	case how == issuertest.Credential:
		f.Act("delete", f.ownID)
		f.RevokeTokens()
	case how == issuertest.Forbidden:
		f.AddFault(ibmfake.Fault{
			Path: "/v1/*", Status: 403, Times: ibmfake.Forever, ContentType: "application/json", Body: forbidden,
		})
		for _, path := range []string{"/v1/*/*", "/v1/*/*/*"} {
			f.AddFault(ibmfake.Fault{
				Path: path, Status: 403, Times: ibmfake.Forever, ContentType: "application/json", Body: forbidden,
			})
		}
	case how == issuertest.Lie:
		f.breakChanges(ibmfake.Fault{Status: 204})
	case how == issuertest.Committed:
		f.breakChanges(ibmfake.Fault{Status: 500, Commit: true})
	default:
		panic("the fake cannot fail as the suite wants it to: " + how)
	}
}

// breakChanges makes every change of a key go wrong.
func (f *iam) breakChanges(fault ibmfake.Fault) {
	fault.Times = ibmfake.Forever
	for _, fault.Method = range []string{http.MethodDelete, http.MethodPost} {
		for _, fault.Path = range []string{"/v1/apikeys/*", "/v1/apikeys/*/*"} {
			f.AddFault(fault)
		}
	}
}

const forbidden = `{"errors":[{"code":"forbidden","message_code":"BXNIM0513E",` +
	`"message":"You are not authorized to use this API"}],"status_code":403}`
