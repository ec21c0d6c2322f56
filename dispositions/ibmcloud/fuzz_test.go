package ibmcloud_test

import (
	"context"
	"errors"
	"regexp"
	"testing"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

// shown is all that an error of a lookup may say.
var shown = regexp.MustCompile(`^(locating the key|looking up our own key): ` +
	`(IAM answers [0-9]{3}( [A-Z]{3,8}[0-9]{3,5}[A-Z])?(: .*)?|the answer .*|no answer|the issuer knows no such key)$`)

// FuzzLocateAnswer answers a lookup with anything in the body.
func FuzzLocateAnswer(f *testing.F) {
	f.Add(200, true, `{"id":"ApiKey-5ccff000-9ff1-4481-a760-29c22a7603e7","iam_id":"IBMid-1"}`)
	f.Add(200, true, `{"id":"ApiKey-5ccff000-9ff1-4481-a760-29c22a7603e7","created_at":"2024-10-04T12:28+0000"}`)
	f.Add(200, false, `<html>`)
	f.Add(404, true, `{"status_code":"404","errors":[{"code":"not_found","message_code":"BXNIM0102E"}]}`)
	f.Add(404, true, `{"errors":[]}`)
	f.Add(400, true, `{"errorCode":"BXNIM0415E","errorDetails":"BXNIM0102E"}`)
	f.Add(422, true, `{"status_code":422,"errors":[{"code":7,"message_code":null}]}`)
	fake := start(f, ibmfake.Switches{})
	_, secret := fake.AddKey(ibmfake.Key{})
	fake.mustLocate(f, secret)
	f.Fuzz(func(t *testing.T, status int, asJSON bool, body string) {
		if status < 200 || status > 599 || status == 401 || status == 429 || status == 503 {
			t.Skip("not an answer, or one that asks for more calls")
		}
		contentType := map[bool]string{true: "application/json", false: "text/html"}[asJSON]
		fake.ClearFaults()
		fake.AddFault(ibmfake.Fault{
			Path: "/v1/apikeys/details", Status: status, ContentType: contentType, Body: body,
		})
		key, err := fake.issuer.Locate(context.Background(), secret)
		if err != nil {
			checkRefusal(t, status, err)
			return
		}
		if status >= 300 || !regexp.MustCompile(`^ApiKey-[0-9a-fA-F-]{36}$`).MatchString(key.ID) {
			t.Errorf("%d is taken for success: %+v", status, key)
		}
	})
}

func checkRefusal(t *testing.T, status int, err error) {
	if errors.Is(err, leak.ErrNotFound) && status != 404 && status != 400 {
		t.Errorf("%d is taken for an unknown key", status)
	}
	if !shown.MatchString(err.Error()) {
		t.Errorf("the error says %q", err)
	}
}
