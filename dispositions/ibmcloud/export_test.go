package ibmcloud

import (
	"context"
	"iter"
	"net/http"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// MaxPages bounds a list.
const MaxPages = maxPages

// Tokens is the source of tokens alone, for tests in which time passes.
func Tokens(key leak.Secret, transport http.RoundTripper) func(context.Context) (leak.Secret, error) {
	return (&tokens{key: key, url: "http://iam.test", client: &http.Client{Transport: transport}}).get
}

// Keys lists an account as an issuer does.
func Keys(ctx context.Context, i dispositions.Issuer, account string) iter.Seq2[leak.Key, error] {
	return i.(*issuer).keys(ctx, account)
}
