package github_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"stanch/receiver"
)

// FuzzParse compares with encoding/json, which says what is an array and how many elements it has.
func FuzzParse(f *testing.F) {
	f.Add([]byte(bodyNow))
	f.Add([]byte("[]"))
	for _, record := range badRecords {
		f.Add([]byte("[" + record + `,{"token":"good"}]`))
	}
	for _, body := range notFormat {
		f.Add(body[:min(len(body), 1000)])
	}
	source := open(f, http.NotFoundHandler())
	f.Fuzz(func(t *testing.T, body []byte) {
		var elements []json.RawMessage
		isArray := json.Unmarshal(body, &elements) == nil && elements != nil
		parsed, err := source.Parse(http.Header{}, body)
		if errors.Is(err, receiver.ErrTooMany) {
			return
		}
		if isArray != (err == nil) || err != nil && !errors.Is(err, receiver.ErrFormat) {
			t.Fatalf("got %v for a body that is an array: %t", err, isArray)
		}
		if got := len(parsed.Found) + len(parsed.Bad); got != len(elements) {
			t.Errorf("got %d records, want %d", got, len(elements))
		}
		for _, c := range parsed.Found {
			if token := c.Secret.Reveal(); token == "" || strings.ContainsRune(token, 0) || c.Place != strings.ToLower(c.Place) {
				t.Errorf("got a token of %d bytes at %q, want a usable one", len(token), c.Place)
			}
		}
		for _, bad := range parsed.Bad {
			if bad.Reason == "" || !bytes.Contains(body, []byte(bad.Raw.Reveal())) {
				t.Errorf("got a bad record that is not in the body, with the reason %q", bad.Reason)
			}
		}
	})
}

// FuzzVerify looks for anything but GitHub's sample, and its other spelling, that its key verifies.
func FuzzVerify(f *testing.F) {
	f.Add(idNow, signatureNow, []byte(bodyNow))
	f.Add(id2022, signature2022, []byte(body2022))
	f.Add(idNow, "YmFkIHNpZ25hdHVyZQ==", []byte(bodyNow))
	f.Add(idNow, "fakesignature", []byte(bodyNow))
	f.Add("", "MAYCAQACAQA=", []byte{})
	source := open(f, documentServer(f))
	f.Fuzz(func(t *testing.T, id, signature string, body []byte) {
		h := header(id, signature)
		admitted := source.Admit(h)
		err := source.Verify(t.Context(), h, body)
		if admitted != nil && err == nil {
			t.Errorf("verified what was not admitted: %v", admitted)
		}
		if err == nil && string(body) != bodyNow && string(body) != body2022 {
			t.Error("verified a body that nobody signed")
		}
		if err != nil && !errors.Is(err, receiver.ErrUnverified) && !errors.Is(err, receiver.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnverified or ErrUnavailable", err)
		}
	})
}
