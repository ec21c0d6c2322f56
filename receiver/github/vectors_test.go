package github_test

import "net/http"

// The samples that GitHub's guide to the partner programme signs, as it had them in 2022 and has them now. The keys are
// test keys; the key endpoint never published them. The bodies are signed, so every byte counts.
const (
	keyNow = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYAGMWO8XgCamYKMJS6jc/qgvSlAd
AjPuDPRcXU22YxgBrz+zoN19MzuRyW87qEt9/AmtoNP5GrobzUvQSyJFVw==
-----END PUBLIC KEY-----
`
	key2022 = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsz9ugWDj5jK5ELBK42ynytbo38gP
HzZFI03Exwz8Lh/tCfL3YxwMdLjB+bMznsanlhK0RwcGP3IDb34kQDIo3Q==
-----END PUBLIC KEY-----
`
	idNow  = "bcb53661c06b4728e59d897fb6165d5c9cda0fd9cdf9d09ead458168deb7518c"
	id2022 = "f9525bf080f75b3506ca1ead061add62b8633a346606dc5fe544e29231c6ee0d"

	// The s of this one has 31 bytes only, which breaks readers of a fixed width.
	signatureNow = "MEQCIQDaMKqrGnE27S0kgMrEK0eYBmyG0LeZismAEz/BgZyt7AIfXt9fErtRS4XaeSt/AO1RtBY66YcAdjxji410VQV4xg=="
	bodyNow      = `[{"source":"commit","token":"some_token","type":"some_type",` +
		`"url":"https://example.com/base-repo-url/"}]`

	signature2022 = "MEUCIFLZzeK++IhS+y276SRk2Pe5LfDrfvTXu6iwKKcFGCrvAiEAhHN2kDOhy2I6eGkOFmxNkOJ+L2y8oQ9A2T9GGJo6WJY="
	body2022      = `[{"token":"some_token","type":"some_type","url":"some_url","source":"some_source"}]`
)

func header(id, signature string) http.Header {
	h := http.Header{}
	h.Set("Github-Public-Key-Identifier", id)
	h.Set("Github-Public-Key-Signature", signature)
	return h
}
