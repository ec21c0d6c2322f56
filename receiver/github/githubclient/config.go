package githubclient

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"stanch/receiver/outbound"
	"stanch/receiver/outbound/secretfile"
)

// defaultAPIURL is the API of github.com.
const defaultAPIURL = "https://api.github.com/"

// Config configures how the API is called: give exactly one of TokenFile and App.
type Config struct {
	// URL is the base of the REST API; https://api.github.com/ by default, https://HOST/api/v3/ for an Enterprise Server,
	// https://api.NAME.ghe.com/ with data residency. It must be https; http only to this machine, for trials.
	URL string `yaml:"url"`
	// TokenFile holds a token that reads and writes the secret scanning alerts of the organisation, and its hooks if failed
	// deliveries should be repeated. The file is read again when GitHub refuses the token.
	TokenFile string `yaml:"token_file"`
	// App is a GitHub App that is installed in the organisation with these permissions.
	App *AppConfig `yaml:"app"`
}

// AppConfig configures the sign-in as a GitHub App.
type AppConfig struct {
	// ID is the App's client id, or its id in quotes; the settings page of the App shows both.
	ID string `yaml:"id"`
	// Installation is the id of the App's installation in the organisation, the number at the end of the address of the
	// installation's page; by default it is looked up.
	Installation int `yaml:"installation"`
	// PrivateKeyFile holds a private key of the App, in PEM as GitHub makes it.
	PrivateKeyFile string `yaml:"private_key_file"`
}

// Check reports every fault by the field that has it; a fault of the whole has an empty field. No problem holds a secret.
func (c *Config) Check(fault func(field, problem string)) {
	if err := outbound.CheckURL(c.url(), outbound.URLRules{}); err != nil {
		fault("url", err.Error())
	}
	switch {
	case c.TokenFile == "" && c.App == nil:
		fault("", "give token_file or app: a delivery holds no secret, so each must be fetched")
	case c.TokenFile != "" && c.App != nil:
		fault("", "give token_file or app, not both")
	case c.App != nil:
		c.App.check(func(field, problem string) { fault("app."+field, problem) })
	default:
		if _, err := secretfile.Token(c.TokenFile); err != nil {
			fault("token_file", err.Error())
		}
	}
}

func (c *Config) url() string {
	if c.URL == "" {
		return defaultAPIURL
	}
	return c.URL
}

func (c *AppConfig) check(fault func(field, problem string)) {
	if !IsName(c.ID) {
		fault("id", "must be the client id or the id of the App")
	}
	if c.Installation < 0 {
		fault("installation", "must be the number of the installation")
	}
	if _, err := readAppKey(c.PrivateKeyFile); err != nil {
		fault("private_key_file", err.Error())
	}
}

// maxAppKey is the largest file with a private key, in bytes; a key of 16384 bits takes thirteen thousand.
const maxAppKey = 64 << 10

// readAppKey reads the private key of an App.
func readAppKey(path string) (*rsa.PrivateKey, error) {
	data, err := secretfile.Read(path, maxAppKey)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("names a file that is not PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, _ := x509.ParsePKCS8PrivateKey(block.Bytes)
	if key, ok := key.(*rsa.PrivateKey); ok {
		return key, nil
	}
	return nil, errors.New("names a file that holds no private RSA key")
}
