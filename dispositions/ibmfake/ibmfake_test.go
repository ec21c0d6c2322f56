package ibmfake_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	iam "github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

// start starts a fake with a key for an administrator, and IBM's own SDK on it.
func start(t *testing.T, o ibmfake.Options) (*ibmfake.Server, *iam.IamIdentityV1) {
	t.Helper()
	server, err := ibmfake.Start(o)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(server.Close)
	_, admin := server.AddKey(ibmfake.Key{Name: "admin", IAMID: "IBMid-ADMIN", Administrator: true})
	return server, client(t, server, admin)
}

func client(t *testing.T, server *ibmfake.Server, key leak.Secret) *iam.IamIdentityV1 {
	t.Helper()
	service, err := iam.NewIamIdentityV1(&iam.IamIdentityV1Options{
		URL: server.URL(), Authenticator: &core.IamAuthenticator{ApiKey: key.Reveal(), URL: server.URL()},
	})
	if err != nil {
		t.Fatalf("making a client: %v", err)
	}
	return service
}

// expect fails the test unless a call was answered with a status and, below 300, without an error.
func expect(t *testing.T, what string, response *core.DetailedResponse, err error, status int) {
	t.Helper()
	if response == nil {
		t.Fatalf("%s: no answer: %v", what, err)
	}
	if response.StatusCode != status || (err == nil) != (status < 300) {
		t.Fatalf("%s: answer %d and error %v, want %d", what, response.StatusCode, err, status)
	}
}

func TestLifeOfAKey(t *testing.T) {
	server, service := start(t, ibmfake.Options{})
	made, response, err := service.CreateAPIKey(service.NewCreateAPIKeyOptions("ci", "iam-ServiceId-1").SetActionWhenLeaked("delete"))
	expect(t, "create", response, err, 201)
	id, tag := *made.ID, *made.EntityTag
	if !strings.HasPrefix(tag, "1-") || len(*made.Apikey) != 44 || response.Headers.Get("Transaction-Id") == "" {
		t.Errorf("made %+v", made)
	}
	changed, response, err := service.UpdateAPIKey(service.NewUpdateAPIKeyOptions(id, tag).SetDescription("d").SetExpiresAt("2030-01-02T03:04+0000"))
	expect(t, "update", response, err, 200)
	if !strings.HasPrefix(*changed.EntityTag, "2-") || *changed.Description != "d" || *changed.Name != "ci" {
		t.Errorf("changed to %+v", changed)
	}
	_, response, err = service.UpdateAPIKey(service.NewUpdateAPIKeyOptions(id, tag).SetName("stale"))
	expect(t, "stale update", response, err, 409)
	_, response, err = service.UpdateAPIKey(service.NewUpdateAPIKeyOptions(id, "*").SetName("any"))
	expect(t, "update of any version", response, err, 200)
	response, err = service.DisableAPIKey(service.NewDisableAPIKeyOptions(id))
	expect(t, "disable", response, err, 204)
	response, err = service.LockAPIKey(service.NewLockAPIKeyOptions(id))
	expect(t, "lock", response, err, 204)
	response, err = service.EnableAPIKey(service.NewEnableAPIKeyOptions(id))
	expect(t, "enable, locked", response, err, 409)
	_, response, err = service.UpdateAPIKey(service.NewUpdateAPIKeyOptions(id, "*").SetName("locked"))
	expect(t, "update, locked", response, err, 409)
	response, err = service.UnlockAPIKey(service.NewUnlockAPIKeyOptions(id))
	expect(t, "unlock", response, err, 204)
	read, response, err := service.GetAPIKey(service.NewGetAPIKeyOptions(id).SetIncludeHistory(true).SetIncludeActivity(true))
	expect(t, "read", response, err, 200)
	if response.Headers.Get("Etag") != *read.EntityTag || read.Apikey != nil || !*read.Disabled || *read.Activity.AuthnCount != 0 {
		t.Errorf("read %+v", read)
	}
	var history []string
	for _, h := range read.History {
		history = append(history, *h.Action+" "+*h.IamID)
	}
	want := "CREATE IBMid-ADMIN,UPDATE IBMid-ADMIN,UPDATE IBMid-ADMIN,DISABLE IBMid-ADMIN,LOCK IBMid-ADMIN,UNLOCK IBMid-ADMIN"
	if got := strings.Join(history, ","); got != want {
		t.Errorf("history %s\nwant    %s", got, want)
	}
	response, err = service.DeleteAPIKey(service.NewDeleteAPIKeyOptions(id))
	expect(t, "delete", response, err, 204)
	_, response, err = service.GetAPIKey(service.NewGetAPIKeyOptions(id))
	expect(t, "read, deleted", response, err, 404)
	wantJournal(t, server, id, "create 201 true,update 200 true,update 409 false,update 200 true,disable 204 true,"+
		"lock 204 true,enable 409 false,update 409 false,unlock 204 true,delete 204 true")
}

func wantJournal(t *testing.T, server *ibmfake.Server, id, want string) {
	t.Helper()
	var got []string
	for _, e := range server.Journal() {
		if e.Target != id || e.By != "IBMid-ADMIN" {
			t.Errorf("unexpected %+v", e)
		}
		got = append(got, fmt.Sprintf("%s %d %v", e.Op, e.Status, e.Changed))
	}
	if text := strings.Join(got, ","); text != want {
		t.Errorf("journal %s\nwant    %s", text, want)
	}
}

func TestPagesOfKeys(t *testing.T) {
	server, service := start(t, ibmfake.Options{})
	for _, name := range []string{"e", "b", "d", "a", "c"} {
		server.AddKey(ibmfake.Key{Name: name, IAMID: "iam-ServiceId-1"})
	}
	server.AddKey(ibmfake.Key{Name: "user's"})
	server.AddKey(ibmfake.Key{Name: "another account's", IAMID: "iam-ServiceId-2", Account: "other"})
	options := service.NewListAPIKeysOptions().SetScope("account").SetAccountID(ibmfake.Account).
		SetType("serviceid").SetSort("name").SetPagesize(2)
	var names []string
	for pages := 1; ; pages++ {
		list, response, err := service.ListAPIKeys(options)
		expect(t, "list", response, err, 200)
		for _, k := range list.Apikeys {
			names = append(names, *k.Name)
		}
		if list.Next == nil {
			if pages != 3 {
				t.Errorf("%d pages, want 3", pages)
			}
			break
		}
		token, err := core.GetQueryParam(list.Next, "pagetoken")
		if err != nil || token == nil {
			t.Fatalf("no page token in %q: %v", *list.Next, err)
		}
		options.SetPagetoken(*token)
	}
	if got := strings.Join(names, ""); got != "abcde" {
		t.Errorf("listed %s, want abcde", got)
	}
	list, response, err := service.ListAPIKeys(service.NewListAPIKeysOptions())
	expect(t, "list without scope", response, err, 200)
	if len(list.Apikeys) != 1 || *list.Apikeys[0].Name != "admin" {
		t.Errorf("without scope %d keys are listed, want our own alone", len(list.Apikeys))
	}
	_, response, err = service.ListAPIKeys(service.NewListAPIKeysOptions().SetPagesize(101))
	expect(t, "page too large", response, err, 400)
}

func TestServiceIDs(t *testing.T) {
	server, service := start(t, ibmfake.Options{})
	id, iamID := server.AddServiceID("cluster-x", "")
	server.AddServiceID("cluster-xy", "")
	// The SDK asks with a slash at the end.
	list, response, err := service.ListServiceIds(service.NewListServiceIdsOptions().SetAccountID(ibmfake.Account).SetName("cluster-x"))
	expect(t, "list", response, err, 200)
	if len(list.Serviceids) != 1 || *list.Serviceids[0].IamID != iamID {
		t.Errorf("listed %+v, want %s alone", list.Serviceids, iamID)
	}
	read, response, err := service.GetServiceID(service.NewGetServiceIDOptions(id))
	expect(t, "read", response, err, 200)
	if *read.Name != "cluster-x" || response.Headers.Get("Etag") != *read.EntityTag {
		t.Errorf("read %+v", read)
	}
	_, response, err = service.ListServiceIds(service.NewListServiceIdsOptions())
	expect(t, "list without account", response, err, 400)
}

// Without a known and valid token nothing is answered; without the role, little.
func TestWhoMay(t *testing.T) {
	now := time.Now()
	server, service := start(t, ibmfake.Options{Now: func() time.Time { return now }})
	victim, _ := server.AddKey(ibmfake.Key{})
	ownID, weak := server.AddKey(ibmfake.Key{IAMID: "IBMid-WEAK"})
	weakly := client(t, server, weak)
	_, response, err := weakly.GetAPIKey(weakly.NewGetAPIKeyOptions(ownID))
	expect(t, "own key", response, err, 200)
	_, response, err = weakly.GetAPIKey(weakly.NewGetAPIKeyOptions(victim))
	expect(t, "another's key", response, err, 403)
	response, err = weakly.DisableAPIKey(weakly.NewDisableAPIKeyOptions(victim))
	expect(t, "disable another's key", response, err, 403)

	_, response, err = service.GetAPIKey(service.NewGetAPIKeyOptions(victim))
	expect(t, "administrator", response, err, 200)
	now = now.Add(time.Hour)
	_, response, err = service.GetAPIKey(service.NewGetAPIKeyOptions(victim))
	expect(t, "token after an hour", response, err, 401)
	plain, err := http.Get(server.URL() + "/v1/apikeys/" + victim)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Body.Close() }()
	if plain.StatusCode != 401 {
		t.Errorf("without a token: answer %d, want 401", plain.StatusCode)
	}
}

func TestTokenEndpoint(t *testing.T) {
	server, _ := start(t, ibmfake.Options{})
	_, good := server.AddKey(ibmfake.Key{})
	_, disabled := server.AddKey(ibmfake.Key{Disabled: true})
	_, expired := server.AddKey(ibmfake.Key{ExpiresAt: time.Now().Add(-time.Minute)})
	_, inactive := server.AddKey(ibmfake.Key{OwnerState: ibmfake.OwnerInactive, Disabled: true})
	_, suspended := server.AddKey(ibmfake.Key{OwnerState: ibmfake.OwnerSuspended})
	for name, row := range map[string]struct {
		key    leak.Secret
		status int
		code   string
	}{
		"good":      {good, 200, "not_supported"},
		"disabled":  {disabled, 400, "BXNIM0462E"},
		"expired":   {expired, 400, "BXNIM0415E"},
		"inactive":  {inactive, 400, "BXNIM0410E"},
		"suspended": {suspended, 401, "BXNIM0436E"},
		"unknown":   {leak.NewSecret("unknown"), 400, "BXNIM0415E"},
		"missing":   {leak.Secret{}, 400, "BXNIM0109E"},
	} {
		status, body := post(t, server, url.Values{
			"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {row.key.Reveal()},
		})
		if status != row.status || !strings.Contains(body, row.code) {
			t.Errorf("%s: answer %d %s, want %d %s", name, status, body, row.status, row.code)
		}
	}
	if status, body := post(t, server, url.Values{}); status != 400 || !strings.Contains(body, "grant_type") {
		t.Errorf("no grant type: answer %d %s", status, body)
	}
}
