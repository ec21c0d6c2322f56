package ibmcloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"stanch/receiver/leak"
)

// deadCodes are IAM's message codes for a key that gets no token any more: disabled, and not found.
var deadCodes = []string{"BXNIM0462E", "BXNIM0415E"}

// errStranger is what is said of a refusal that does not say that the key is dead.
var errStranger = errors.New("it does not say that the key is dead")

// Refused implements dispositions.Prover. It asks for a token with the leaked value, as its finder would; one that is handed
// out is thrown away, and lives on at IAM until it expires.
func (i *issuer) Refused(ctx context.Context, secret leak.Secret) error {
	const doing = "trying the leaked value"
	value := secret.Reveal()
	if !sendable(value) {
		return fmt.Errorf("%s: %w", doing, errUnsendable)
	}
	form := url.Values{"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {value}, "response_type": {"cloud_iam"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, i.tokens.url+"/identity/token", strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("%s: %w", doing, errUnsendable)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	response, err := i.tokens.client.Do(request)
	if err != nil {
		return unanswered(ctx, doing, nil, err)
	}
	defer func() { _ = response.Body.Close() }()
	var body map[string]any
	_ = json.NewDecoder(response.Body).Decode(&body) // what is no JSON says nothing
	token, _ := body["access_token"].(string)
	switch {
	case response.StatusCode == http.StatusOK && token != "":
		return fmt.Errorf("%s: %w", doing, leak.ErrAlive)
	case response.StatusCode == http.StatusOK:
		return fmt.Errorf("%s: %w", doing, errUnreadable)
	}
	_, message := codes(body)
	if response.StatusCode == http.StatusBadRequest && slices.Contains(deadCodes, message) {
		return nil
	}
	return throttled(&refusal{doing: doing, status: response.StatusCode, code: message, means: errStranger}, response.Header)
}

// Activity implements dispositions.Watcher.
func (i *issuer) Activity(ctx context.Context, id string) (leak.Activity, error) {
	if err := checkID(id); err != nil {
		return leak.Activity{}, err
	}
	found, err := i.get(ctx, "reading the key's activity", id, true)
	if err != nil {
		return leak.Activity{}, err
	}
	return activityOf(found)
}
