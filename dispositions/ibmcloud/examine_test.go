package ibmcloud_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stanch/dispositions"
	"stanch/dispositions/ibmcloud"
	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

// examine returns findings by their check, which no two have.
func examine(t *testing.T, issuer dispositions.Issuer) map[string]leak.Finding {
	t.Helper()
	found := map[string]leak.Finding{}
	for _, f := range issuer.Examine(t.Context()) {
		if _, twice := found[f.Check]; twice {
			t.Errorf("two findings about %s", f.Check)
		}
		found[f.Check] = f
	}
	return found
}

func wantFinding(t *testing.T, found map[string]leak.Finding, check string, result leak.Result, text string) {
	t.Helper()
	if got := found[check]; got.Result != result || !strings.Contains(got.Text, text) {
		t.Errorf("%s: got %s %q, want %s with %q", check, got.Result, got.Text, result, text)
	}
}

func TestExamineGood(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	found := examine(t, f.issuer)
	wantFinding(t, found, "credential", leak.Good, "token")
	wantFinding(t, found, "our own key", leak.Good, f.ownID)
	wantFinding(t, found, "our own key", leak.Good, "account "+ibmfake.Account)
	wantFinding(t, found, "our own key", leak.Good, "not locked")
	wantFinding(t, found, "expiry of our own key", leak.Good, "does not expire")
	wantFinding(t, found, "keys of the account", leak.Good, "1 in the default group")
	wantFinding(t, found, "changing keys", leak.Good, "cannot be proved")
	wantFinding(t, found, "clock", leak.Good, "agrees")
	for _, e := range f.Journal() {
		t.Errorf("the examination asked for %+v", e)
	}
}

func TestExamineOwnKey(t *testing.T) {
	in := func(d time.Duration) time.Time { return time.Now().Add(d) }
	for name, row := range map[string]struct {
		key    ibmfake.Key
		check  string
		result leak.Result
		text   string
	}{
		"expires soon":  {ibmfake.Key{ExpiresAt: in(3*24*time.Hour + time.Hour)}, "expiry of our own key", leak.Doubt, "in 3 days"},
		"expires later": {ibmfake.Key{ExpiresAt: in(40 * 24 * time.Hour)}, "expiry of our own key", leak.Good, "at "},
		"expired":       {ibmfake.Key{ExpiresAt: in(-time.Hour)}, "credential", leak.Broken, "deleted, expired or mistyped"},
		"disabled":      {ibmfake.Key{Disabled: true}, "credential", leak.Broken, "the key is disabled"},
		"locked":        {ibmfake.Key{Locked: true}, "our own key", leak.Good, "; locked"},
		"a user's":      {ibmfake.Key{IAMID: "IBMid-1"}, "our own key", leak.Doubt, "key of a user"},
		"no role":       {ibmfake.Key{IAMID: "iam-ServiceId-2"}, "keys of the account", leak.Broken, "Administrator on the IAM Identity service"},
	} {
		f := startServer(t, ibmfake.Options{})
		row.key.Administrator = name != "no role"
		if row.key.IAMID == "" {
			row.key.IAMID = ownIAMID
		}
		_, own := f.AddKey(row.key)
		t.Run(name, func(t *testing.T) {
			wantFinding(t, examine(t, open(t, f.URL(), own)), row.check, row.result, row.text)
		})
	}
}

// TestExamineKeyThatDies looks at keys whose tokens still work: IAM says of them what no token could.
func TestExamineKeyThatDies(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	for _, row := range []struct{ field, check, text string }{
		{`"disabled":true`, "our own key", "is disabled"},
		{`"expires_at":"2020-01-02T03:04+0000"`, "expiry of our own key", "expired at 2020-01-02 03:04:00"},
		{`"expires_at":"soon"`, "expiry of our own key", "not in a way"},
	} {
		f.ClearFaults()
		f.AddFault(ibmfake.Fault{
			Path: "/v1/apikeys/details", Status: 200, Times: ibmfake.Forever, ContentType: "application/json",
			Body: fmt.Sprintf(`{"id":%q,"iam_id":%q,"account_id":%q,%s}`, f.ownID, ownIAMID, ibmfake.Account, row.field),
		})
		found := examine(t, open(t, f.URL(), f.own))
		if got := found[row.check]; got.Result == leak.Good || !strings.Contains(got.Text, row.text) {
			t.Errorf("%s: got %+v, want %q", row.field, got, row.text)
		}
	}
}

func TestExamineCountsKeys(t *testing.T) {
	f := start(t, ibmfake.Switches{Unset: "absent"})
	for n := range 250 {
		f.AddKey(ibmfake.Key{Setting: "disable", IAMID: []string{"IBMid-1", "iam-ServiceId-1"}[n%2]})
	}
	for n := range 7 {
		f.AddKey(ibmfake.Key{Setting: "none", Locked: n < 2, ExpiresAt: time.Now().Add(time.Duration(n-1) * time.Hour)})
	}
	f.AddKey(ibmfake.Key{Setting: "delete", Disabled: true})
	f.AddKey(ibmfake.Key{Setting: "none", Account: "another"})
	found := examine(t, f.issuer)
	wantFinding(t, found, "keys of the account", leak.Good,
		"259 in the default group, 1 of them ours and never acted on; of the others 7 are set to none, 250 to disable, "+
			"1 to delete, 0 not set, and 1 are disabled, 2 locked, 2 expired")
	wantFinding(t, found, dispositions.SetToNone, leak.Doubt, "7: IBM also answers none when nobody chose; policy.key_none")
	wantFinding(t, found, dispositions.LockedKeys, leak.Doubt, "2: ")
	wantFinding(t, found, "expired keys", leak.Doubt, "2: ")
}

func TestExamineListThatFails(t *testing.T) {
	for name, row := range map[string]struct {
		fault  ibmfake.Fault
		result leak.Result
		text   string
	}{
		"at once":            {ibmfake.Fault{Status: 500}, leak.Broken, "IAM answers 500"},
		"on the way":         {ibmfake.Fault{Status: 500, Skip: 1}, leak.Doubt, "in part only"},
		"without our own":    {ibmfake.Fault{Status: 200, ContentType: "application/json", Body: `{"apikeys":[{"id":"ApiKey-1"},{}]}`}, leak.Doubt, "not whole"},
		"refused":            {ibmfake.Fault{Status: 403}, leak.Broken, "Administrator"},
		"refused on the way": {ibmfake.Fault{Status: 403, Skip: 1}, leak.Broken, "Administrator"},
	} {
		f := start(t, ibmfake.Switches{})
		f.AddKey(ibmfake.Key{IAMID: "IBMid-1"})
		row.fault.Path, row.fault.Times = "/v1/apikeys", ibmfake.Forever
		f.AddFault(row.fault)
		var got leak.Finding
		for _, finding := range f.issuer.Examine(t.Context()) {
			if finding.Check == "keys of the account" && got.Check == "" {
				got = finding
			}
		}
		if got.Result != row.result || !strings.Contains(got.Text, row.text) {
			t.Errorf("%s: got %+v, want %s with %q", name, got, row.result, row.text)
		}
	}
}

func TestExamineClock(t *testing.T) {
	for skew, want := range map[time.Duration]leak.Result{
		0: leak.Good, time.Minute: leak.Doubt, -time.Minute: leak.Doubt, 10 * time.Minute: leak.Broken, -10 * time.Minute: leak.Broken,
	} {
		f := start(t, ibmfake.Switches{Skew: skew})
		wantFinding(t, examine(t, f.issuer), "clock", want, "our clock")
		f.Act("delete", f.ownID)
		wantFinding(t, examine(t, open(t, f.URL(), f.own)), "clock", want, "our clock")
	}
}

func TestAccount(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	if got, err := f.issuer.(dispositions.Tenant).Account(t.Context()); got != ibmfake.Account || err != nil {
		t.Errorf("got %q and %v, want %s", got, err, ibmfake.Account)
	}
}

func list(t *testing.T, issuer dispositions.Issuer) (keys []leak.Key, err error) {
	t.Helper()
	for key, err := range ibmcloud.Keys(t.Context(), issuer, ibmfake.Account) {
		if err != nil {
			return keys, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func TestListKeys(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	want := map[string]bool{f.ownID: true}
	for n := range 205 {
		id, _ := f.AddKey(ibmfake.Key{IAMID: []string{"IBMid-1", "iam-ServiceId-1"}[n%2], StoreValue: true})
		want[id] = true
	}
	keys, err := list(t, f.issuer)
	if err != nil || len(keys) != len(want) {
		t.Fatalf("got %d keys and %v, want %d", len(keys), err, len(want))
	}
	for n, key := range keys {
		if !want[key.ID] || key.Own != (key.ID == f.ownID) || n > 0 && key.Kind == "user" && keys[n-1].Kind != "user" {
			t.Errorf("got %+v as number %d", key, n)
		}
		delete(want, key.ID)
	}
	if got := f.Requests()["GET /v1/apikeys"]; got != 4 {
		t.Errorf("got %d requests, want 4: two pages of each kind", got)
	}
}

func TestListIsLeftEarly(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	for range 150 {
		f.AddKey(ibmfake.Key{})
	}
	for _, err := range ibmcloud.Keys(t.Context(), f.issuer, ibmfake.Account) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if got := f.Requests()["GET /v1/apikeys"]; got != 1 {
		t.Errorf("got %d requests, want 1", got)
	}
}

func TestListThatDoesNotEnd(t *testing.T) {
	for next, want := range map[string]string{
		"http://iam/v1/apikeys?pagetoken=planted": "a page comes again",
		"http://iam/v1/apikeys":                   "next page cannot be read",
		"http://iam/%zz?pagetoken=planted":        "next page cannot be read",
	} {
		f := start(t, ibmfake.Switches{})
		f.AddFault(ibmfake.Fault{
			Path: "/v1/apikeys", Status: 200, Times: ibmfake.Forever, ContentType: "application/json",
			Body: fmt.Sprintf(`{"apikeys":[{"id":%q}],"next":%q}`, f.ownID, next),
		})
		keys, err := list(t, f.issuer)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "planted") || len(keys) > 2 {
			t.Errorf("%s: got %d keys and %v, want %q", next, len(keys), err, want)
		}
	}
}

// TestListWithoutEnd gives every page another token.
func TestListWithoutEnd(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	pages := 0
	proxy := startProxy(t, f, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v1/apikeys" {
			return false
		}
		pages++
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"apikeys":[],"next":"http://iam/?pagetoken=%d"}`, pages)
		return true
	})
	if _, err := list(t, open(t, proxy, f.own)); err == nil || pages != ibmcloud.MaxPages {
		t.Errorf("got %v after %d pages, want an error after %d", err, pages, ibmcloud.MaxPages)
	}
}

// startProxy puts a handler in front of the fake, which answers what the handler does not; it returns its URL.
func startProxy(t *testing.T, f *iam, handle func(w http.ResponseWriter, r *http.Request) bool) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !handle(w, r) {
			f.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}
