package gitlabclient

import (
	"cmp"
	"net/url"
	"strings"

	"stanch/receiver/outbound"
	"stanch/receiver/outbound/secretfile"
)

// defaultURL is where gitlab.com is.
const defaultURL = "https://gitlab.com"

// Config configures how GitLab's API is called.
type Config struct {
	// URL is where GitLab is; https://gitlab.com by default, and for another instance the part before /api/v4. It must be
	// https; http only to this machine, for trials.
	URL string `yaml:"url"`
	// TokenFile holds an access token of the group, with the role Maintainer and the scope api; with the role Owner if failed
	// deliveries of a hook of the group should be repeated. The file is read again when GitLab refuses the token.
	TokenFile string `yaml:"token_file"`
}

// Check reports every fault by the field that has it. No problem holds a secret.
func (c *Config) Check(fault func(field, problem string)) {
	if err := outbound.CheckURL(c.base(), outbound.URLRules{}); err != nil {
		fault("url", err.Error())
	}
	if c.TokenFile == "" {
		fault("token_file", "is missing: a delivery holds no secret, so each must be fetched")
	} else if _, err := secretfile.Token(c.TokenFile); err != nil {
		fault("token_file", err.Error())
	}
}

// base is the URL of the instance, without a slash at its end. A URL that ends with /api/v4 names the same instance.
func (c *Config) base() string {
	return strings.TrimSuffix(strings.TrimSuffix(cmp.Or(c.URL, defaultURL), "/"), "/api/v4")
}

// Root is the path of the instance on its host; empty for most instances.
func (c *Config) Root() string {
	u, err := url.Parse(c.base())
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.EscapedPath(), "/")
}
