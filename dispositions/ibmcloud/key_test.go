package ibmcloud_test

import (
	"context"
	"testing"
	"time"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

func TestLocateSaysEverything(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	expires := time.Date(2030, 1, 2, 3, 4, 0, 0, time.UTC)
	id, secret := f.AddKey(ibmfake.Key{
		Name: "deploy", IAMID: "iam-ServiceId-1", Account: "acct", Setting: "delete", Locked: true, ExpiresAt: expires,
	})
	key := f.mustLocate(t, secret)
	if key.CreatedAt.IsZero() || key.CreatedAt.Second() != 0 {
		t.Errorf("made at %v, want a time of minute precision", key.CreatedAt)
	}
	key.CreatedAt = time.Time{}
	key.ExpiresAt = key.ExpiresAt.UTC()
	want := leak.Key{
		ID: id, Name: "deploy", Kind: "service_id", Owner: "iam-ServiceId-1", Account: "acct", Locked: true,
		ExpiresAt: expires, Setting: leak.Delete, Used: leak.Activity{Known: true},
	}
	if key != want {
		t.Errorf("got  %+v\nwant %+v", key, want)
	}
}

func TestLastUse(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	_, secret := f.AddKey(ibmfake.Key{Administrator: true})
	if key := f.mustLocate(t, secret); !key.LastUsedAt.IsZero() {
		t.Errorf("last used at %v, want never", key.LastUsedAt)
	}
	thief := open(t, f.URL(), secret)
	if _, err := thief.Locate(context.Background(), f.own); err != nil {
		t.Fatalf("Locate: %v", err)
	}
	if key := f.mustLocate(t, secret); key.LastUsedAt.IsZero() {
		t.Error("a key that was used reads as never used")
	}
	f.AddFault(ibmfake.Fault{Path: "/v1/apikeys/ApiKey-*", Status: 500})
	if key := f.mustLocate(t, secret); !key.LastUsedAt.IsZero() || key.ID == "" {
		t.Errorf("got %+v, want the key without its last use", key)
	}
}

func TestSettings(t *testing.T) {
	for _, row := range []struct {
		setting, unset string
		want           leak.Action
	}{
		{"none", "", leak.Nothing},
		{"disable", "", leak.Disable},
		{"delete", "", leak.Delete},
		{"quarantine", "", ""},
		{"", "none", leak.Nothing},
		{"", "disable", leak.Disable},
		{"", "absent", ""},
	} {
		f := start(t, ibmfake.Switches{Unset: row.unset})
		id, secret := f.AddKey(ibmfake.Key{Setting: row.setting})
		if got, read := f.mustLocate(t, secret).Setting, f.mustRead(t, id).Setting; got != row.want || read != row.want {
			t.Errorf("%+v: located %q, read %q", row, got, read)
		}
	}
}

func TestKindByIAMID(t *testing.T) {
	for iamID, want := range map[string]string{
		"IBMid-110000AB1Z": "user", "AppID-x": "user",
		"iam-ServiceId-cb36c9a9": "service_id", "ServiceId-cb36c9a9": "service_id",
	} {
		f := start(t, ibmfake.Switches{})
		_, secret := f.AddKey(ibmfake.Key{IAMID: iamID})
		if key := f.mustLocate(t, secret); key.Kind != want || key.Owner != iamID {
			t.Errorf("%s: kind %q of %q, want %q", iamID, key.Kind, key.Owner, want)
		}
	}
}

func TestTimes(t *testing.T) {
	want := time.Date(2024, 10, 4, 12, 28, 0, 0, time.UTC)
	for _, text := range []string{
		"2024-10-04T12:28+0000", "2024-10-04T12:28:00+0000", "2024-10-04T12:28:00Z", "2024-10-04T12:28:00.000Z",
		"2024-10-04T14:28+02:00", "2024-10-04T12:28Z", "2024-10-04T12:28:00.000+0000", "soon", "", "9999999999",
	} {
		f := start(t, ibmfake.Switches{})
		id, secret := f.AddKey(ibmfake.Key{})
		f.mustLocate(t, secret)
		f.AddFault(ibmfake.Fault{
			Path: "/v1/apikeys/ApiKey-*", Status: 200, ContentType: "application/json",
			Body: `{"id":"` + id + `","expires_at":"` + text + `"}`,
		})
		got := f.mustRead(t, id).ExpiresAt
		if known := len(text) > len("9999999999"); known != got.Equal(want) || known == got.IsZero() {
			t.Errorf("%q reads as %v", text, got)
		}
	}
}
