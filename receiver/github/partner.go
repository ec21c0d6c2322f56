// Package github is GitHub as a source, in two ways: its secret scanning partner programme, which reports the leaked tokens of one
// issuer from all public repositories, in batches signed with a key that GitHub publishes; and the secret scanning of one
// organisation, whose hooks point to alerts that the collector fetches from the API.
package github

import (
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/receiver"
	"stanch/receiver/batch"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/secretfile"
	"stanch/receiver/publickeys"
)

// programme is GitHub's partner programme, as its guide describes it. The place is called source in its records.
var programme = batch.Programme{
	KeyIDHeader:     "Github-Public-Key-Identifier",
	SignatureHeader: "Github-Public-Key-Signature",
	Records:         batch.Fields{Token: "token", Type: "type", URL: "url", Place: "source"},
}

// Open makes the source with its configured name. It reads the token file and makes no request: the source is a
// receiver.Starter, and fetches keys when it runs or when the first delivery arrives.
func (c *PartnerConfig) Open(name string, log *slog.Logger, reg prometheus.Registerer) (receiver.Source, error) {
	var token leak.Secret
	if c.KeysTokenFile != "" {
		var err error
		if token, err = secretfile.Token(c.KeysTokenFile); err != nil {
			return nil, fmt.Errorf("reading keys_token_file: %w", err)
		}
	}
	source, err := programme.Open(publickeys.Config{
		Source: name, URL: c.keysURL(), Token: token, Log: log, Metrics: reg,
	})
	if err != nil {
		return nil, err
	}
	return &partner{source, c.Feedback}, nil
}

// Records are the names of the fields of a record.
func (*PartnerConfig) Records() batch.Fields { return programme.Records }

// partner is the source of type github_partner. It can tell GitHub what the tokens were.
type partner struct {
	*batch.Signed
	feedback string // as configured
}
