package githubfake

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// maxClaim is how far ahead a claim may expire.
const maxClaim = 10 * time.Minute

// claims are what an App says of itself in a JSON web token; iss is its id, as a number or a string, or its client id.
type claims struct {
	Issuer  any    `json:"iss"`
	Issued  *int64 `json:"iat"`
	Expires *int64 `json:"exp"`
}

// verifyApp finds the App that signed a JSON web token, or answers 401.
func (f *Fake) verifyApp(text string) (*token, *answer) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, undecodable()
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	var said claims
	if decodePart(parts[0], &header) != nil || decodePart(parts[1], &said) != nil || header.Algorithm != "RS256" {
		return nil, undecodable()
	}
	a := f.issuer(said.Issuer)
	if a == nil {
		return nil, refuse(http.StatusNotFound, "Integration not found")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(&a.Key.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		return nil, undecodable()
	}
	return &token{Token: Token{Name: a.Slug, Permissions: a.Granted}, app: a}, said.check(f.options.Now())
}

func decodePart(part string, into any) error {
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// issuer finds an App by what a claim calls it.
func (f *Fake) issuer(issuer any) *app {
	name := fmt.Sprint(issuer)
	if number, ok := issuer.(float64); ok {
		name = fmt.Sprintf("%.0f", number)
	}
	for _, a := range f.apps {
		if name == fmt.Sprint(a.id) || name == a.ClientID {
			return a
		}
	}
	return nil
}

// check refuses times that GitHub's clock does not allow: it forgives nothing.
func (c claims) check(now time.Time) *answer {
	var no string
	switch {
	case c.Expires == nil:
		no = "'Expiration time' claim ('exp') must be a numeric value"
	case c.Issued == nil:
		no = "'Issued at' claim ('iat') must be an Integer"
	case time.Unix(*c.Issued, 0).After(now):
		no = "'Issued at' claim ('iat') is in the future"
	case !time.Unix(*c.Expires, 0).After(now):
		no = "'Expiration time' claim ('exp') must be in the future"
	case time.Unix(*c.Expires, 0).After(now.Add(maxClaim)):
		no = "'Expiration time' claim ('exp') is too far in the future"
	default:
		return nil
	}
	return refuse(http.StatusUnauthorized, no)
}

func undecodable() *answer {
	return refuse(http.StatusUnauthorized, "A JSON web token could not be decoded")
}
