package ibmfake_test

import (
	"io"
	"net/http"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

func post(t *testing.T, server *ibmfake.Server, form url.Values) (status int, body string) {
	t.Helper()
	response, err := http.PostForm(server.URL()+"/identity/token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

func TestPositions(t *testing.T) {
	defaults := ibmfake.New(ibmfake.Options{}).Switches()
	positions := ibmfake.Positions()
	if positions[0] != defaults || len(positions) != 8 {
		t.Errorf("got %d positions, the first %+v, want 8 and %+v", len(positions), positions[0], defaults)
	}
	seen := map[ibmfake.Switches]bool{}
	for _, s := range ibmfake.Combinations() {
		seen[s] = true
	}
	if len(seen) != 96 {
		t.Errorf("got %d different combinations, want 96", len(seen))
	}
	for _, s := range positions {
		if !seen[s] {
			t.Errorf("%+v is a position and no combination", s)
		}
	}
}

// Every switch changes the answer that it is about.
func TestSwitches(t *testing.T) {
	for _, s := range ibmfake.Combinations() {
		server, service := start(t, ibmfake.Options{Switches: s})
		locked, _ := server.AddKey(ibmfake.Key{Locked: true})
		disabled, value := server.AddKey(ibmfake.Key{Disabled: true})
		refused, _ := post(t, server, url.Values{
			"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {value.Reveal()},
		})
		if refused != s.Disabled {
			t.Errorf("%+v: a disabled key is refused a token with %d", s, refused)
		}
		expired, _ := server.AddKey(ibmfake.Key{ExpiresAt: time.Now().Add(-time.Minute)})
		_, response, err := service.GetAPIKeysDetails(service.NewGetAPIKeysDetailsOptions().SetIamAPIKey("unknown"))
		expect(t, "unknown", response, err, s.Unknown)
		response, err = service.DeleteAPIKey(service.NewDeleteAPIKeyOptions(locked))
		expect(t, "locked", response, err, s.Locked)
		code := response.Result.(map[string]any)["status_code"]
		if _, number := code.(float64); number != s.NumericStatus {
			t.Errorf("%+v: status_code is a %T", s, code)
		}
		response, err = service.DisableAPIKey(service.NewDisableAPIKeyOptions(disabled))
		expect(t, "disabled", response, err, s.Again)
		response, err = service.DeleteAPIKey(service.NewDeleteAPIKeyOptions(expired))
		expect(t, "expired", response, err, s.Again)
		_, response, err = service.UpdateAPIKey(service.NewUpdateAPIKeyOptions(disabled, "9-stale").SetName("n"))
		expect(t, "stale", response, err, s.Stale)
		server.Close()
	}
}

func TestFreshKeyShowsLate(t *testing.T) {
	_, service := start(t, ibmfake.Options{Switches: ibmfake.Switches{Fresh: 2}})
	made, response, err := service.CreateAPIKey(service.NewCreateAPIKeyOptions("n", "iam-ServiceId-1"))
	expect(t, "create", response, err, 201)
	for _, want := range []int{404, 404, 200, 200} {
		_, response, err = service.GetAPIKeysDetails(service.NewGetAPIKeysDetailsOptions().SetIamAPIKey(*made.Apikey))
		expect(t, "lookup", response, err, want)
	}
}

func TestFaults(t *testing.T) {
	server, service := start(t, ibmfake.Options{})
	id, secret := server.AddKey(ibmfake.Key{})
	read := func(want int) {
		t.Helper()
		_, response, err := service.GetAPIKey(service.NewGetAPIKeyOptions(id))
		expect(t, "read", response, err, want)
	}
	server.AddFault(ibmfake.Fault{Path: "/v1/apikeys/*", Skip: 1, Times: 2, Status: 500})
	for _, want := range []int{200, 500, 500, 200} {
		read(want)
	}
	server.AddFault(ibmfake.Fault{Method: "POST", Status: 204})
	response, err := service.DisableAPIKey(service.NewDisableAPIKeyOptions(id))
	expect(t, "lie", response, err, 204)
	wantDisabled(t, server, service, secret, id, false, false)
	server.AddFault(ibmfake.Fault{Method: "POST", Half: ibmfake.ByID})
	response, err = service.DisableAPIKey(service.NewDisableAPIKeyOptions(id))
	expect(t, "half", response, err, 204)
	wantDisabled(t, server, service, secret, id, true, false)
	server.AddFault(ibmfake.Fault{Method: "DELETE", Status: 500, Commit: true})
	response, err = service.EnableAPIKey(service.NewEnableAPIKeyOptions(id))
	expect(t, "commit", response, err, 500)
	wantDisabled(t, server, service, secret, id, false, false)
	server.AddFault(ibmfake.Fault{Method: "POST", Cut: true, Commit: true})
	if response, err = service.DisableAPIKey(service.NewDisableAPIKeyOptions(id)); response != nil || err == nil {
		t.Errorf("cut: answer %+v and error %v", response, err)
	}
	wantDisabled(t, server, service, secret, id, true, true)
	server.AddFault(ibmfake.Fault{Times: ibmfake.Forever, Status: 503})
	read(503)
	read(503)
	server.ClearFaults()
	read(200)
}

// wantDisabled compares what the two views of a key say.
func wantDisabled(
	t *testing.T, server *ibmfake.Server, service *iamidentityv1.IamIdentityV1, secret leak.Secret, id string,
	byID, byValue bool,
) {
	t.Helper()
	found, response, err := service.GetAPIKeysDetails(service.NewGetAPIKeysDetailsOptions().SetIamAPIKey(secret.Reveal()))
	expect(t, "lookup", response, err, 200)
	if k, _ := server.Key(id); k.Disabled != byID || *found.Disabled != byValue {
		t.Errorf("disabled by id %v and by value %v, want %v and %v", k.Disabled, *found.Disabled, byID, byValue)
	}
}

// The administration over HTTP does what the methods do.
func TestClient(t *testing.T) {
	server, service := start(t, ibmfake.Options{})
	c := &ibmfake.Client{URL: server.URL()}
	added, err := c.AddKeys(
		ibmfake.Key{Name: "a", Setting: "delete", Value: leak.NewSecret("given")}, ibmfake.Key{Name: "b", Locked: true},
	)
	if err != nil || len(added) != 2 || added[0].Value != "given" || len(added[1].Value) != 44 {
		t.Fatalf("added %+v with error %v", added, err)
	}
	response, err := service.DisableAPIKey(service.NewDisableAPIKeyOptions(added[0].ID))
	expect(t, "disable", response, err, 204)
	keys, err := c.Keys()
	if err != nil || !reflect.DeepEqual(keys, server.Keys()) || len(keys) != 3 {
		t.Errorf("keys %+v with error %v, want %+v", keys, err, server.Keys())
	}
	journal, err := c.Journal()
	if err != nil || len(journal) != 1 || journal[0].Target != added[0].ID || journal[0].Op != "disable" || !journal[0].Changed {
		t.Errorf("journal %+v with error %v", journal, err)
	}
	if err := c.SetSwitches(ibmfake.Switches{Locked: 403}); err != nil || server.Switches().Locked != 403 {
		t.Errorf("switches %+v with error %v", server.Switches(), err)
	}
	if err := c.AddFault(ibmfake.Fault{Times: ibmfake.Forever, Status: 418}); err != nil {
		t.Errorf("AddFault: %v", err)
	}
	_, response, err = service.GetAPIKey(service.NewGetAPIKeyOptions(added[0].ID))
	expect(t, "fault", response, err, 418)
	if err := c.ClearFaults(); err != nil {
		t.Errorf("ClearFaults: %v", err)
	}
	_, response, err = service.GetAPIKey(service.NewGetAPIKeyOptions(added[0].ID))
	expect(t, "no fault", response, err, 200)
}
