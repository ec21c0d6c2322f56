package ibmfake

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// handler answers one call. It runs under the fake's lock and does no I/O.
type handler func(*call) answer

// served is the handler of a route; the mux of apiRoutes only finds it.
type served struct {
	handler
	open bool // whether it needs no token
}

// ServeHTTP is never called: the mux only finds the handler.
func (served) ServeHTTP(http.ResponseWriter, *http.Request) {}

func (f *Fake) apiRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("POST /identity/token", served{handler: f.token, open: true})
	for pattern, h := range map[string]handler{
		"GET /v1/apikeys":                 f.listKeys,
		"POST /v1/apikeys":                f.createKey,
		"GET /v1/apikeys/details":         f.details,
		"GET /v1/apikeys/{id}":            f.readKey,
		"PUT /v1/apikeys/{id}":            f.updateKey,
		"DELETE /v1/apikeys/{id}":         f.write("delete"),
		"POST /v1/apikeys/{id}/lock":      f.write("lock"),
		"DELETE /v1/apikeys/{id}/lock":    f.write("unlock"),
		"POST /v1/apikeys/{id}/disable":   f.write("disable"),
		"DELETE /v1/apikeys/{id}/disable": f.write("enable"),
		"GET /v1/serviceids":              f.listServices,
		"GET /v1/serviceids/{$}":          f.listServices,
		"GET /v1/serviceids/{id}":         f.readService,
		"GET /v2/resource_keys/{id}":      f.readCredential,
		"DELETE /v2/resource_keys/{id}":   f.deleteCredential,
	} {
		mux.Handle(pattern, served{handler: h})
	}
	return mux
}

// serve answers a call as IAM does.
func (c *call) serve() answer { return c.decide().Encode("application/json") }

// decide carries out a call. A request that IAM has no route for is answered 404 or 405 without a body.
func (c *call) decide() answer {
	f := c.fake
	found, _ := f.api.Handler(c.request)
	route, ok := found.(served)
	if !ok {
		return answer{Status: http.StatusNotFound}
	}
	c.body, _ = io.ReadAll(io.LimitReader(c.request.Body, 1<<16)) // a truncated body is bad input
	f.mu.Lock()
	defer f.mu.Unlock()
	c.grant = f.caller(c.request)
	if !route.open && c.grant.iamID == "" {
		return f.refuse(http.StatusUnauthorized, "invalid_token", "BXNIM0407E", "Provided token is invalid or expired", "")
	}
	return route.handler(c)
}

// may reports whether the caller may see and change what belongs to an identity.
func (c *call) may(iamID string) bool { return c.grant.administrator || c.grant.iamID == iamID }

func (f *Fake) forbidden() answer {
	return f.refuse(http.StatusForbidden, "forbidden", "BXNIM0513E", "You are not authorized to use this API", "")
}

func (f *Fake) notFound(kind, id string) answer {
	return f.refuse(http.StatusNotFound, "not_found", "BXNIM0102E", "Unable to find object",
		fmt.Sprintf("Object type '%s' with ID '%s' not found.", kind, id))
}

func (f *Fake) badRequest(details string) answer {
	return f.refuse(http.StatusBadRequest, "bad_request", "BXNIM0109E", "Property missing or empty.", details)
}

type exception struct {
	Context    map[string]string `json:"context"`
	StatusCode any               `json:"status_code"`
	Errors     []exceptionError  `json:"errors"`
	Trace      string            `json:"trace"`
}

type exceptionError struct {
	Code        string `json:"code"`
	MessageCode string `json:"message_code"`
	Message     string `json:"message"`
	Details     string `json:"details,omitempty"`
}

// refuse is an error answer of /v1.
func (f *Fake) refuse(status int, code, messageCode, message, details string) answer {
	e := exception{Context: map[string]string{"transaction_id": transactionID()}, StatusCode: fmt.Sprint(status)}
	if f.Switches().NumericStatus {
		e.StatusCode = status
	}
	e.Errors = []exceptionError{{Code: code, MessageCode: messageCode, Message: message, Details: details}}
	e.Trace = transactionID()
	return answer{Status: status, Body: e}
}

// flag reads a boolean query parameter or header.
func flag(value string) bool { return strings.EqualFold(value, "true") }

const (
	apikeyGrant = "urn:ibm:params:oauth:grant-type:apikey"
	// tokenLife is how long a token works, whatever happens to its key.
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
		return refuseToken(http.StatusBadRequest, "BXNIM0109E", "Property missing or empty.", "Property 'grant_type' either missing or empty.")
	case form.Get("grant_type") != apikeyGrant || form.Get("apikey") == "":
		return refuseToken(http.StatusBadRequest, "BXNIM0109E", "Property missing or empty.", "Property 'apikey' either missing or empty.")
	}
	value := form.Get("apikey")
	k, ok := f.byValue[value]
	switch {
	case !ok || k.fresh() || k.expired(f.now()):
		return unknownValue(value)
	case k.OwnerState == OwnerInactive:
		return refuseToken(http.StatusBadRequest, "BXNIM0410E", "User not found or active.", "")
	case k.OwnerState == OwnerSuspended:
		return refuseToken(http.StatusUnauthorized, "BXNIM0436E", "User is suspended.", "")
	case k.Disabled:
		return refuseToken(f.Switches().Disabled, "BXNIM0462E", "Provided API key is disabled.", "")
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
	return refuseToken(http.StatusBadRequest, "BXNIM0415E", "Provided API key could not be found.",
		"BXNIM0102E: Unable to find Object. Object Type: 'ApiKey' with ID: '"+value+"' not found.")
}

func refuseToken(status int, code, message, details string) answer {
	return answer{Status: status, Body: tokenError{
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
