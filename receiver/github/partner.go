// Package github is GitHub as a source: the deliveries of its secret scanning partner programme, which reports the
// leaked tokens of one issuer from all public repositories, in batches signed with a key that GitHub publishes; and the
// secret scanning of one organisation, whose hooks point to alerts that the collector asks the API for.
package github

import (
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/receiver"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/secretfile"
)

// programme is GitHub's partner programme, as its guide describes it. Records have the place as their source.
var programme = receiver.Partner{
	KeyIDHeader:     "Github-Public-Key-Identifier",
	SignatureHeader: "Github-Public-Key-Signature",
	Records:         receiver.Fields{Token: "token", Type: "type", URL: "url", Place: "source"},
}

// Open makes the source with its configured name. It reads the token file, and asks nobody for anything: the returned
// source is a receiver.Starter, and fetches keys when it runs or when the first delivery comes.
func (c *PartnerConfig) Open(name string, log *slog.Logger, reg prometheus.Registerer) (receiver.Source, error) {
	var token leak.Secret
	if c.KeysTokenFile != "" {
		var err error
		if token, err = secretfile.Token(c.KeysTokenFile); err != nil {
			return nil, fmt.Errorf("reading keys_token_file: %w", err)
		}
	}
	source, err := programme.Open(receiver.PublicKeysConfig{
		Source: name, URL: c.keysURL(), Token: token, Log: log, Metrics: reg,
	})
	if err != nil {
		return nil, err
	}
	return &partner{source.(signed), c.Feedback}, nil
}

// Records are the fields of a delivery's records.
func (*PartnerConfig) Records() receiver.Fields { return programme.Records }

// partner is the source of type github_partner: a partner programme's, which is told what its tokens were.
type partner struct {
	signed
	feedback string // as configured
}

// signed is all that the source of a partner programme is.
type signed interface {
	receiver.Source
	receiver.Starter
	receiver.Examiner
}
