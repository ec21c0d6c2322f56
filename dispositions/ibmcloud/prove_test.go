package ibmcloud_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

// tokenError is how the token endpoint refuses a value, in its own words.
func tokenError(code string) string {
	return fmt.Sprintf(`{"errorCode":%q,"errorMessage":"No.","context":{"requestType":"incoming.Identity_Token"}}`, code)
}

// answered tries a value that the token endpoint answers so.
func (f *iam) answered(secret leak.Secret, status int, contentType, body string) (leak.Trial, error) {
	f.ClearFaults()
	f.AddFault(ibmfake.Fault{Path: "/identity/token", Status: status, ContentType: contentType, Body: body})
	return f.issuer.Try(context.Background(), secret)
}

// TestTryCodes: of a refusal in the token endpoint's own words the code counts, and not which of three statuses comes with it.
func TestTryCodes(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	_, secret := f.AddKey(ibmfake.Key{})
	for code, want := range map[string]leak.TrialResult{
		"BXNIM0415E": leak.Dead, "BXNIM0462E": leak.Dead, "BXNIM0410E": leak.Refused, "BXNIM0436E": leak.Refused,
		"BXNIM0400E": leak.Refused, "BXNIM0439E": leak.Refused,
	} {
		for _, status := range []int{400, 401, 403} {
			trial, err := f.answered(secret, status, "application/json", tokenError(code))
			if err != nil || trial != (leak.Trial{Result: want, Code: code, Exists: code == "BXNIM0462E"}) {
				t.Errorf("%d %s: got %+v and %v, want it %s", status, code, trial, err, want)
			}
		}
	}
}

// TestTryStrangers: the same codes in anybody else's words, or with any other status, say nothing.
func TestTryStrangers(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	_, secret := f.AddKey(ibmfake.Key{})
	for _, code := range []string{"BXNIM0415E", "BXNIM0462E", "BXNIM0410E", "BXNIM0436E"} {
		own := tokenError(code)
		for _, status := range []int{200, 201, 204, 302, 402, 404, 405, 407, 409, 410, 422, 429, 451, 500, 502, 503} {
			f.wantStranger(t, secret, status, "application/json", own)
		}
		for _, status := range []int{400, 401, 403} {
			for _, body := range []string{
				"", code, "<html>" + own + "</html>", own + "<html>", "[" + own + "]", `{"error":` + own + `}`,
				`{"errorMessage":"` + code + `"}`, tokenError(strings.ToLower(code)), tokenError(code + " "), tokenError("X" + code),
				`{"errors":[{"code":"not_found","message_code":"` + code + `"}]}`, `{"errorCode":["` + code + `"]}`,
			} {
				f.wantStranger(t, secret, status, "text/html", body)
				f.wantStranger(t, secret, status, "application/json", body)
			}
		}
	}
}

func (f *iam) wantStranger(t *testing.T, secret leak.Secret, status int, contentType, body string) {
	t.Helper()
	trial, err := f.answered(secret, status, contentType, body)
	if err == nil || trial != (leak.Trial{}) || meansSomething(err) || strings.Contains(err.Error(), secret.Reveal()) {
		t.Errorf("%d %s %q: got %+v and %v, want that nobody can tell", status, contentType, body, trial, err)
	}
}

// TestTryOfUsers: a user who is gone or suspended gets no token, and comes back perhaps: that is no death of the key.
func TestTryOfUsers(t *testing.T) {
	for state, code := range map[string]string{ibmfake.OwnerInactive: "BXNIM0410E", ibmfake.OwnerSuspended: "BXNIM0436E"} {
		for _, disabled := range []bool{false, true} {
			f := start(t, ibmfake.Switches{})
			id, secret := f.AddKey(ibmfake.Key{OwnerState: state, Disabled: disabled})
			trial, err := f.issuer.Try(context.Background(), secret)
			if err != nil || trial != (leak.Trial{Result: leak.Refused, Code: code}) {
				t.Errorf("%s, disabled %v: got %+v and %v, want %s", state, disabled, trial, err, code)
			}
			if key := f.mustRead(t, id); key.Disabled != disabled {
				t.Errorf("%s: read as %+v", state, key)
			}
		}
	}
}

// TestLocateForbidden: 403 to one value is about that key as long as IAM shows us our own, and otherwise about us.
func TestLocateForbidden(t *testing.T) {
	const details = "/v1/apikeys/details"
	for name, row := range map[string]struct {
		faults []ibmfake.Fault
		want   error
	}{
		"one value": {[]ibmfake.Fault{{Path: details, Status: 403, Body: forbidden}}, leak.ErrNotVisible},
		"every value": {
			[]ibmfake.Fault{{Path: details, Status: 403, Body: forbidden, Times: ibmfake.Forever}}, leak.ErrCredential,
		},
		"and our own is not known any more": {
			[]ibmfake.Fault{{Path: details, Status: 403, Body: forbidden}, {Path: details, Status: 400, Body: tokenError("BXNIM0415E")}},
			leak.ErrCredential,
		},
		"and nobody can tell of our own": {
			[]ibmfake.Fault{{Path: details, Status: 403, Body: forbidden}, {Path: details, Status: 500}}, leak.ErrCredential,
		},
		"a page": {[]ibmfake.Fault{{Path: details, Status: 403, ContentType: "text/html", Body: "<html>planted"}}, leak.ErrCredential},
	} {
		f := start(t, ibmfake.Switches{})
		_, secret := f.AddKey(ibmfake.Key{})
		f.mustLocate(t, secret)
		for _, fault := range row.faults {
			if fault.ContentType == "" {
				fault.ContentType = "application/json"
			}
			f.AddFault(fault)
		}
		_, err := f.issuer.Locate(context.Background(), secret)
		for _, meaning := range []error{leak.ErrNotFound, leak.ErrNotVisible, leak.ErrCredential} {
			if errors.Is(err, meaning) != errors.Is(meaning, row.want) {
				t.Errorf("%s: error %v, want %v", name, err, row.want)
			}
		}
	}
}

// TestLocateHidden: the same of a key that our service ID has no role for, while it is shown itself.
func TestLocateHidden(t *testing.T) {
	f := startServer(t, ibmfake.Options{})
	_, weak := f.AddKey(ibmfake.Key{IAMID: ownIAMID})
	_, secret := f.AddKey(ibmfake.Key{Account: "another"})
	issuer := open(t, f.URL(), weak)
	if _, err := issuer.Locate(t.Context(), secret); !errors.Is(err, leak.ErrNotVisible) || errors.Is(err, leak.ErrCredential) {
		t.Errorf("error %v, want a key that we may not see", err)
	}
	if trial, err := issuer.Try(t.Context(), secret); err != nil || trial.Result != leak.Works {
		t.Errorf("tried: %+v and %v, want it to work", trial, err)
	}
}
