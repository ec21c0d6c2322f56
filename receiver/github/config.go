package github

import "stanch/receiver"

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
	// Feedback is what GitHub is told about each token in the answer; empty or none: nothing.
	Feedback string `yaml:"feedback"`
}

// Check reports every fault by the field that has it. No problem holds a secret.
func (c *PartnerConfig) Check(fault func(field, problem string)) {
	if err := receiver.CheckKeysURL(c.keysURL()); err != nil {
		fault("keys_url", err.Error())
	}
	if c.KeysTokenFile != "" {
		if _, err := receiver.ReadToken(c.KeysTokenFile); err != nil {
			fault("keys_token_file", err.Error())
		}
	}
	switch c.Feedback {
	case "", "none":
	case "token_hash", "token_raw":
		fault("feedback", "is "+c.Feedback+", which this version cannot give yet: use none")
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
