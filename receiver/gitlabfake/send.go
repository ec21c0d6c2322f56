package gitlabfake

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// maxAnswer is the most that GitLab keeps of what a receiver answers, in bytes.
const maxAnswer = 8 << 10

// signingPrefix is what signing tokens start with, before the key in base64.
const signingPrefix = "whsec_"

// NewSigningToken makes a signing token as GitLab does: of a key of 32 bytes.
func NewSigningToken() leak.Secret {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	return leak.NewSecret(signingPrefix + base64.StdEncoding.EncodeToString(key))
}

// Sign returns the webhook-signature of a body, as Standard Webhooks has it: v1 and the HMAC-SHA256, under the key in the
// signing token, of the id, the time in seconds and the body. A token that holds no key signs with the empty one.
func Sign(token leak.Secret, id string, at time.Time, body []byte) string {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(token.Reveal(), signingPrefix))
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, id+"."+strconv.FormatInt(at.Unix(), 10)+".") // a hash takes everything
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Header returns the header of a delivery of a body at a time, as GitLab 19.0 sends it, for those who send it themselves.
// The id is the delivery's webhook-id and Idempotency-Key. Without a signing token it is not signed.
func Header(trigger, id string, at time.Time, signing leak.Secret, body []byte) http.Header {
	header := plainHeader(trigger, id)
	signInto(header, id, at, signing, body)
	return header
}

// plainHeader is what every delivery has.
func plainHeader(trigger, id string) http.Header {
	header := http.Header{}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "GitLab/19.0.0-ee", "X-Gitlab-Event": headerOf(trigger),
		"X-Gitlab-Webhook-UUID": vendorfake.UUID(), uuidHeader: vendorfake.UUID(), "X-Gitlab-Instance": htmlURL, "Idempotency-Key": id,
	} {
		header.Set(name, value)
	}
	return header
}

// signInto adds the fields of Standard Webhooks.
func signInto(header http.Header, id string, at time.Time, signing leak.Secret, body []byte) {
	header.Set("webhook-id", id)
	header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	if !signing.Empty() {
		header.Set("webhook-signature", Sign(signing, id, at, body))
	}
}

// newRequest writes a delivery, with the tokens that its hook has now. A URL that is none makes it go nowhere.
func (f *Fake) newRequest(d *delivery) *http.Request {
	request := f.NewPost(d.hook.URL, d.Payload)
	header := plainHeader(d.Trigger, d.IdempotencyKey)
	header.Set("User-Agent", "GitLab/"+f.version.String())
	header.Set(uuidHeader, d.EventUUID)
	if !f.since(hookResend) {
		header.Del("Idempotency-Key")
	}
	if !d.hook.Token.Empty() {
		header.Set("X-Gitlab-Token", d.hook.Token.Reveal())
	}
	if f.since(signedHooks) {
		signInto(header, d.IdempotencyKey, d.At, d.hook.SigningToken, d.Payload)
		f.signMore(header, d)
	}
	request.Header = header
	return request
}

// signMore puts other signatures in front of the good one, as the switch says.
func (f *Fake) signMore(header http.Header, d *delivery) {
	if good := header.Get("webhook-signature"); good != "" && f.Switches().Signatures == "many" {
		other := Sign(NewSigningToken(), d.IdempotencyKey, d.At, d.Payload)
		header.Set("webhook-signature", "v1a"+strings.TrimPrefix(other, "v1")+" "+other+" "+good)
	}
}
