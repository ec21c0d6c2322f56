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
	// Feedback is how the answer names each token to GitHub: none, which is the default and tells nothing; token_hash or
	// token_raw, with true_positive if an issuer knows or knew the key, and false_positive if no issuer that may see it has
	// such a key. The answer waits up to 10 seconds for that, and leaves out what is not known by then.
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
