package ibmcloud_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

// Trap: an id such as ".." goes out as a path.
func TestTrapIDAsPath(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	for _, id := range []string{
		"", ".", "..", "../serviceids", "ApiKey-", "ApiKey-../../../../../../../../../../../../..", "details",
		"ApiKey-00000000-0000-0000-0000-000000000000/lock", "ApiKey-00000000-0000-0000-0000-000000000000\n",
		"ApiKey-00000000-0000-0000-0000-00000000000g", "apikey-00000000-0000-0000-0000-000000000000",
	} {
		if _, err := f.issuer.Read(context.Background(), named(id)); err == nil || meansSomething(err) {
			t.Errorf("Read(%q): error %v, want a refusal", id, err)
		}
		for name, do := range f.writes() {
			if err := do(context.Background(), id); err == nil || meansSomething(err) {
				t.Errorf("%s(%q): error %v, want a refusal", name, id, err)
			}
		}
	}
	if requests := f.Requests(); len(requests) != 0 {
		t.Errorf("requests went out: %v", requests)
	}
}

// Trap: an answer whose id is no key's would go out as a path later.
func TestTrapIDInAnswer(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	other, secret := f.AddKey(ibmfake.Key{})
	f.mustLocate(t, secret)
	for _, body := range []string{
		``, `{}`, `null`, `{"id":null}`, `{"id":""}`, `{"id":".."}`, `{"id":7}`, `{"id":"ApiKey-x"}`, `[]`, `{"id":`,
	} {
		f.AddFault(ibmfake.Fault{
			Path: "/v1/apikeys/details", Status: 200, ContentType: "application/json", Body: body,
		})
		if key, err := f.issuer.Locate(context.Background(), secret); err == nil || meansSomething(err) {
			t.Errorf("%s: located %+v with error %v, want unresolved", body, key, err)
		}
	}
	f.AddFault(ibmfake.Fault{
		Path: "/v1/apikeys/*", Status: 200, ContentType: "application/json",
		Body: `{"id":"` + other + `","disabled":true}`,
	})
	asked := "ApiKey-00000000-0000-0000-0000-000000000000"
	if key, err := f.issuer.Read(context.Background(), named(asked)); err == nil || meansSomething(err) {
		t.Errorf("the answer is about another key, and it is read as %+v with error %v", key, err)
	}
}

// Trap: "required" fields of an answer can be nil.
func TestTrapRequiredFieldsMissing(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	id, secret := f.AddKey(ibmfake.Key{})
	f.mustLocate(t, secret)
	f.AddFault(ibmfake.Fault{
		Path: "/v1/apikeys/details", Status: 200, ContentType: "application/json", Body: `{"id":"` + id + `"}`,
	})
	key := f.mustLocate(t, secret)
	if key.LastUsedAt, key.Used = (time.Time{}), (leak.Activity{}); key != (leak.Key{ID: id}) {
		t.Errorf("got %+v, want the id alone", key)
	}
}

// Trap: a list without scope sees little. What the adapter relies on is never a list.
func TestTrapListsAreNotRelied(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	id, secret := f.AddKey(ibmfake.Key{})
	f.mustLocate(t, secret)
	f.mustRead(t, id)
	for _, do := range f.writes() {
		_ = do(context.Background(), id) // in any order, so some find the key locked or gone
	}
	for route, n := range f.Requests() {
		if route == "GET /v1/apikeys" || route == "GET /v1/serviceids" {
			t.Errorf("%d times %s", n, route)
		}
	}
}

// Trap: access tokens that were issued for a key outlive it.
func TestTrapTokensLiveOn(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	id, secret := f.AddKey(ibmfake.Key{Administrator: true})
	thief := open(t, f.URL(), secret)
	victim, _ := f.AddKey(ibmfake.Key{})
	if _, err := thief.Read(context.Background(), named(victim)); err != nil {
		t.Fatalf("before the key is disabled: %v", err)
	}
	if err := f.issuer.Disable(context.Background(), named(id)); err != nil {
		t.Fatalf("Disable: %v", err)
	}
	if _, err := thief.Read(context.Background(), named(victim)); err != nil {
		t.Errorf("the fake lets tokens die with their key: %v", err)
	}
	if key := f.mustRead(t, id); !key.Disabled {
		t.Errorf("got %+v, want it disabled, with tokens that live an hour", key)
	}
}

// Trap: IBM's own feed may have been faster.
func TestTrapIBMActedFirst(t *testing.T) {
	for _, switches := range ibmfake.Combinations() {
		f := start(t, switches)
		id, secret := f.AddKey(ibmfake.Key{})
		f.mustLocate(t, secret)
		f.Act("disable", id)
		if err := f.issuer.Disable(context.Background(), named(id)); err != nil {
			t.Errorf("%+v: disabling what IBM disabled: %v", switches, err)
		}
		f.Act("delete", id)
		for name, do := range f.writes() {
			if err := do(context.Background(), id); !errors.Is(err, leak.ErrNotFound) {
				t.Errorf("%+v: %s of what IBM deleted: error %v, want not found", switches, name, err)
			}
		}
	}
}

// Trap: it is not established with which status a locked key refuses. The lock is never lifted unasked.
func TestTrapLockedKeys(t *testing.T) {
	for _, switches := range ibmfake.Combinations() {
		f := start(t, switches)
		id, _ := f.AddKey(ibmfake.Key{Locked: true})
		for _, name := range []string{"Disable", "Delete"} {
			if err := f.writes()[name](context.Background(), id); !errors.Is(err, leak.ErrLocked) {
				t.Errorf("%+v: %s: error %v, want locked", switches, name, err)
			}
		}
		if n := f.Count("unlock", id); n != 0 {
			t.Errorf("unlocked %d times unasked", n)
		}
		f.Act("unlock", id)
		f.Act("disable", id)
		f.Act("lock", id)
		if err := f.issuer.Disable(context.Background(), named(id)); err != nil {
			t.Errorf("%+v: disabling a disabled, locked key: %v", switches, err)
		}
		if err := f.issuer.Enable(context.Background(), named(id)); !errors.Is(err, leak.ErrLocked) {
			t.Errorf("%+v: enabling a locked key: error %v, want locked", switches, err)
		}
	}
}

// Trap: a key without the role Administrator is refused with 403. A lookup cannot tell that from a key that is not shown to us; a
// change can.
func TestTrapRoles(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	_, weak := f.AddKey(ibmfake.Key{})
	id, secret := f.AddKey(ibmfake.Key{})
	issuer := open(t, f.URL(), weak)
	if _, err := issuer.Locate(context.Background(), secret); !errors.Is(err, leak.ErrNotVisible) {
		t.Errorf("Locate: error %v, want a key that we may not see", err)
	}
	if err := issuer.Disable(context.Background(), named(id)); !errors.Is(err, leak.ErrCredential) {
		t.Errorf("Disable: error %v, want our own credential refused", err)
	}
}

// Trap: statuses that nobody has established. None of them is success, and none says that a key is unknown, whatever the
// body claims.
func TestTrapUnestablishedStatus(t *testing.T) {
	body := `{"errors":[{"code":"not_found","message_code":"BXNIM0102E"}]}`
	f := start(t, ibmfake.Switches{})
	id, secret := f.AddKey(ibmfake.Key{})
	f.mustLocate(t, secret)
	for _, status := range []int{300, 304, 400, 402, 405, 406, 408, 409, 410, 412, 418, 422, 451, 500, 501, 502, 503, 504, 599} {
		f.AddFault(ibmfake.Fault{Status: status, ContentType: "application/json", Body: body})
		if _, err := f.issuer.Locate(context.Background(), secret); err == nil || meansSomething(err) {
			t.Errorf("Locate with %d: error %v, want unresolved", status, err)
		}
		f.AddFault(ibmfake.Fault{Status: status, ContentType: "application/json", Body: body})
		if err := f.issuer.Disable(context.Background(), named(id)); err == nil || meansSomething(err) {
			t.Errorf("Disable with %d: error %v, want unresolved", status, err)
		}
	}
	if n := f.Count("disable", id); f.mustRead(t, id).Disabled || n == 0 {
		t.Error("the key was disabled, or nobody asked to")
	}
}
