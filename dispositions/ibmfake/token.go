package ibmfake

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	apikeyGrant = "urn:ibm:params:oauth:grant-type:apikey"
	// tokenLife is how long a token is good, whatever becomes of its key.
	tokenLife = time.Hour
)

// grant is what a token that was handed out stands for.
type grant struct {
	iamID, account string
	administrator  bool
	expires        time.Time
}

type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	ImsUserID    int    `json:"ims_user_id"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	Expiration   int64  `json:"expiration"`
	Scope        string `json:"scope"`
}

type tokenError struct {
	ErrorCode    string            `json:"errorCode"`
	ErrorMessage string            `json:"errorMessage"`
	ErrorDetails string            `json:"errorDetails,omitempty"`
	Context      map[string]string `json:"context"`
}

// token is POST /identity/token.
func (f *Fake) token(c *call) answer {
	form, _ := url.ParseQuery(string(c.body)) // what does not parse is missing
	switch {
	case form.Get("grant_type") == "":
		return refuseToken("BXNIM0109E", "Property missing or empty.", "Property 'grant_type' either missing or empty.")
	case form.Get("grant_type") != apikeyGrant || form.Get("apikey") == "":
		return refuseToken("BXNIM0109E", "Property missing or empty.", "Property 'apikey' either missing or empty.")
	}
	value := form.Get("apikey")
	k, ok := f.byValue[value]
	switch {
	case !ok || k.fresh() || k.expired(f.now()):
		return unknownValue(value)
	case k.Disabled:
		return refuseToken("BXNIM0462E", "Provided API key is disabled.", "")
	}
	return f.grant(k)
}

// grant hands out a token of a key and counts it in the key's activity.
func (f *Fake) grant(k *key) answer {
	now, authns := f.now(), k.authns+1
	for _, view := range []*key{f.byID[k.ID], f.byValue[k.value]} {
		if view != nil {
			view.authns, view.lastAuthn = authns, now
		}
	}
	token := "eyJraWQiOiJmYWtlIn0." + newValue() + newValue()
	f.grants[token] = grant{
		iamID: k.IAMID, account: k.Account, administrator: k.Administrator, expires: now.Add(tokenLife),
	}
	return answer{Status: http.StatusOK, Body: tokenAnswer{
		AccessToken: token, RefreshToken: "not_supported", ImsUserID: 118, TokenType: "Bearer",
		ExpiresIn: int64(tokenLife / time.Second), Expiration: now.Add(tokenLife).Unix(), Scope: "ibm openid",
	}}
}

// RevokeTokens makes every token that was handed out invalid: calls with them are answered 401.
func (f *Fake) RevokeTokens() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.grants)
}

// caller returns what the token of a request stands for; the zero grant when it is missing, unknown or expired.
func (f *Fake) caller(r *http.Request) grant {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	g, known := f.grants[token]
	if !ok || !known || !f.now().Before(g.expires) {
		return grant{}
	}
	return g
}

// unknownValue is how the token endpoint answers an unknown key. The details echo the value, as IBM's do.
func unknownValue(value string) answer {
	return refuseToken("BXNIM0415E", "Provided API key could not be found.",
		"BXNIM0102E: Unable to find Object. Object Type: 'ApiKey' with ID: '"+value+"' not found.")
}

func refuseToken(code, message, details string) answer {
	return answer{Status: http.StatusBadRequest, Body: tokenError{
		ErrorCode: code, ErrorMessage: message, ErrorDetails: details,
		Context: map[string]string{"requestId": transactionID(), "requestType": "incoming.Identity_Token"},
	}}
}

// fresh reports whether a key does not show yet, and uses up one of the lookups for which it does not.
func (k *key) fresh() bool {
	if k.hidden == 0 {
		return false
	}
	k.hidden--
	return true
}
