package ibmcloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// deadCodes are IAM's message codes for a key that gets no token any more: disabled, and not found. IAM documents the codes and not
// the status that comes with them.
var deadCodes = []string{disabledCode, unknownValueCode}

// refusals are the statuses with which the token endpoint refuses a value by a code of its own. Other ones are about the endpoint.
var refusals = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden}

// tokenCode is what the token endpoint's own message codes look like.
var tokenCode = regexp.MustCompile(`^BXNIM[0-9]{4}E$`)

// errStranger is what is said of a refusal that the token endpoint did not make in its own words.
var errStranger = errors.New("it does not say that the key is dead")

// Try implements dispositions.Prover. It asks for a token with the leaked value, as its finder would; one that is handed
// out is thrown away, and lives on at IAM until it expires.
func (i *issuer) Try(ctx context.Context, secret leak.Secret) (leak.Trial, error) {
	const doing = "trying the leaked value"
	value := secret.Reveal()
	if !sendable(value) {
		return leak.Trial{}, fmt.Errorf("%s: %w", doing, errUnsendable)
	}
	form := url.Values{"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {value}, "response_type": {"cloud_iam"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, i.tokens.url+"/identity/token", strings.NewReader(form.Encode()))
	if err != nil {
		return leak.Trial{}, fmt.Errorf("%s: %w", doing, errUnsendable)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	response, err := i.tokens.client.Do(request)
	if err != nil {
		return leak.Trial{}, unanswered(ctx, doing, nil, err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return leak.Trial{}, unanswered(ctx, doing, nil, err)
	}
	return trial(doing, response, data)
}

// tokenAnswer is what counts of the token endpoint's own answers.
type tokenAnswer struct {
	Token string `json:"access_token"`
	Code  string `json:"errorCode"`
}

// trial is what an answer of the token endpoint says of the value.
func trial(doing string, response *http.Response, data []byte) (leak.Trial, error) {
	var answer tokenAnswer
	if json.Unmarshal(data, &answer) != nil || !tokenCode.MatchString(answer.Code) {
		answer.Code = "" // in other words than its own it says nothing
	}
	switch {
	case response.StatusCode == http.StatusOK && answer.Token != "":
		return leak.Trial{Result: leak.Works}, nil
	case response.StatusCode == http.StatusOK:
		return leak.Trial{}, fmt.Errorf("%s: %w", doing, errUnreadable)
	}
	own := slices.Contains(refusals, response.StatusCode) && answer.Code != "" && answer.Token == ""
	switch {
	case own && slices.Contains(deadCodes, answer.Code):
		return leak.Trial{Result: leak.Dead, Code: answer.Code, Exists: answer.Code == disabledCode}, nil
	case own:
		return leak.Trial{Result: leak.Refused, Code: answer.Code}, nil
	}
	r := refused(doing, response.StatusCode, answer.Code)
	r.Means = errStranger
	return leak.Trial{}, throttled(r, response.Header)
}

// Activity implements dispositions.Watcher.
func (i *issuer) Activity(ctx context.Context, t dispositions.Target) (leak.Activity, error) {
	return i.activity(ctx, t.Key.ID)
}

func (i *issuer) activity(ctx context.Context, id string) (leak.Activity, error) {
	if err := checkID(id); err != nil {
		return leak.Activity{}, err
	}
	found, err := i.get(ctx, "reading the key's activity", id, true)
	if err != nil {
		return leak.Activity{}, err
	}
	return activityOf(found)
}
