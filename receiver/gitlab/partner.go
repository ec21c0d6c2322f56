package gitlab

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/receiver"
	"stanch/receiver/batch"
	"stanch/receiver/outbound"
	"stanch/receiver/publickeys"
)

// programme is the partner programme of gitlab.com, as its documentation describes it: like GitHub's, but without a place and
// without feedback.
var programme = batch.Programme{
	KeyIDHeader:     "Gitlab-Public-Key-Identifier",
	SignatureHeader: "Gitlab-Public-Key-Signature",
	Records:         batch.Fields{Token: "token", Type: "type", URL: "url"},
}

// PartnerConfig configures a source of type gitlab_partner.
type PartnerConfig struct {
	// KeysURL is where the public keys are; GitLab tells it to its partners. It must be https, because who answers there can
	// sign deliveries; http only to this machine, for trials.
	KeysURL string `yaml:"keys_url"`
}

// Check reports every fault by the field that has it.
func (c *PartnerConfig) Check(fault func(field, problem string)) {
	if c.KeysURL == "" {
		fault("keys_url", "is missing: GitLab tells its partners where the public keys are")
	} else if err := outbound.CheckURL(c.KeysURL, outbound.URLRules{Query: true}); err != nil {
		fault("keys_url", err.Error())
	}
}

// Open makes the source with its configured name. It makes no request: the source is a receiver.Starter, and fetches keys when
// it runs or when the first delivery arrives.
func (c *PartnerConfig) Open(name string, log *slog.Logger, reg prometheus.Registerer) (receiver.Source, error) {
	source, err := programme.Open(publickeys.Config{Source: name, URL: c.KeysURL, Log: log, Metrics: reg})
	if err != nil {
		return nil, err
	}
	return source, nil
}

// Records are the names of the fields of a record.
func (*PartnerConfig) Records() batch.Fields { return programme.Records }
