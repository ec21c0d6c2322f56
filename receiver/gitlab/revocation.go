package gitlab

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/receiver"
	"stanch/receiver/batch"
)

// The paths of the Token Revocation API below the path of the source, and the header field with the token, which has no scheme in
// front of it, as in GitLab's documentation and its TokenRevocationService.
const (
	typesPath  = "v1/revocable_token_types"
	revokePath = "v1/revoke_tokens"

	revocationTokenHeader = "Authorization"
)

// revocationRecords are the names in a record. GitLab may add the vulnerability, which is skipped.
var revocationRecords = batch.Fields{Token: "token", Type: "type", URL: "location"}

// RevocationConfig configures a source of type gitlab_revocation: the Token Revocation API for one self-managed GitLab. GitLab
// asks GET /hooks/NAME/v1/revocable_token_types which types of tokens it may send, and posts those that its secret detection
// found to /hooks/NAME/v1/revoke_tokens. Until it gets a success it repeats the whole request, for almost three days.
type RevocationConfig struct {
	// TokenFiles hold the tokens that GitLab may present, one line each; at least one file. To rotate a token give both,
	// change the setting secret_detection_token_revocation_token at GitLab, and remove the old one.
	TokenFiles []string `yaml:"token_files"`
	// Types are the types of tokens that GitLab should send, as it writes them: gitleaks_rule_id_ and the id of the rule, in
	// lower case and with an underscore for each blank; at least one. GitLab has no rule for IBM Cloud keys: deploy/gitlab
	// holds one to add, whose type is gitleaks_rule_id_ibm_cloud_iam_key. Add the types to an issuer's token_types as well.
	Types []string `yaml:"types"`
}

// Check reports every fault by the field that has it. No problem holds a secret.
func (c *RevocationConfig) Check(fault func(field, problem string)) {
	if len(c.TokenFiles) == 0 {
		fault("token_files", "give at least one: without a token, anybody could have keys disabled")
	}
	checkTokens("token_files", c.TokenFiles, fault)
	if len(c.Types) == 0 {
		fault("types", "give at least one: with an empty list GitLab never sends anything")
	}
	for i, kind := range c.Types {
		if kind == "" || kind != strings.ToLower(kind) || strings.ContainsFunc(kind, unicode.IsSpace) {
			fault(fmt.Sprintf("types[%d]", i), "must be in lower case and without blanks, as GitLab writes types: nothing else would match")
		}
	}
}

// Open makes the source. It reads the token files, and makes no call.
func (c *RevocationConfig) Open(string, *slog.Logger, prometheus.Registerer) (receiver.Source, error) {
	tokens, err := readTokens("token_files", c.TokenFiles)
	if err != nil {
		return nil, err
	}
	types, err := json.Marshal(map[string][]string{"types": c.Types})
	if err != nil {
		return nil, fmt.Errorf("writing the types: %w", err)
	}
	return &revocation{sharedTokens{revocationTokenHeader, tokens}, string(types)}, nil
}

// Records are the names of the fields of a record.
func (*RevocationConfig) Records() batch.Fields { return revocationRecords }

// revocation is the source of type gitlab_revocation. Its whole proof is in the header, so a sender without a token gets
// nothing but 401, however busy we are.
type revocation struct {
	sharedTokens
	types string // the document that lists them
}

// Paths implements receiver.Pather.
func (r *revocation) Paths() map[string]string {
	return map[string]string{typesPath: r.types, revokePath: ""}
}

// Parse reads a JSON array of {type, token, location}. A type that we did not ask for counts as well: somebody has found the token.
func (r *revocation) Parse(_ http.Header, body []byte) (receiver.Parsed, error) {
	return revocationRecords.Parse(body)
}
