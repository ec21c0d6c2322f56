package ibmcloud

import (
	"context"
	"net/http"

	"stanch/receiver/leak"
)

// Tokens is the source of tokens alone, for tests in which time passes.
func Tokens(key leak.Secret, transport http.RoundTripper) func(context.Context) (leak.Secret, error) {
	return (&tokens{key: key, url: "http://iam.test", client: &http.Client{Transport: transport}}).get
}
