package github

import (
	"stanch/receiver/outbound"
	"stanch/receiver/outbound/secretfile"
)

// defaultKeysURL is where GitHub publishes the keys that sign partner deliveries.
const defaultKeysURL = "https://api.github.com/meta/public_keys/secret_scanning"

// PartnerConfig configures a source of type github_partner.
type PartnerConfig struct {
	// KeysURL is where the public keys are; empty: GitHub's. It must be https, because who answers there can sign
	// deliveries; http only to this machine, for trials.
	KeysURL string `yaml:"keys_url"`
	// KeysTokenFile holds any GitHub token, which raises the limit of the key endpoint from 60 to 5,000 requests an
	// hour; empty: no token is sent.
	KeysTokenFile string `yaml:"keys_token_file"`
	// Feedback is what GitHub is told about each token in the answer: none, which is the default; token_hash or token_raw,
	// by which the token is named, with true_positive when an issuer knows the key or knew it, and false_positive when
	// every issuer that may see it has no such key. An answer waits for that up to 10 seconds; what is not known then is
	// left out.
	Feedback string `yaml:"feedback"`
}

// Check reports every fault by the field that has it. No problem holds a secret.
func (c *PartnerConfig) Check(fault func(field, problem string)) {
	if err := outbound.CheckURL(c.keysURL(), outbound.URLRules{Query: true}); err != nil {
		fault("keys_url", err.Error())
	}
	if c.KeysTokenFile != "" {
		if _, err := secretfile.Token(c.KeysTokenFile); err != nil {
			fault("keys_token_file", err.Error())
		}
	}
	switch c.Feedback {
	case "", "none", feedbackHash, feedbackRaw:
	default:
		fault("feedback", "must be none, token_hash or token_raw")
	}
}

func (c *PartnerConfig) keysURL() string {
	if c.KeysURL == "" {
		return defaultKeysURL
	}
	return c.KeysURL
}
