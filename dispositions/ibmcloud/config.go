package ibmcloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"sync/atomic"

	"github.com/IBM/go-sdk-core/v5/core"
	iam "github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// maxKeyFile is how large a key file may be, in bytes.
const maxKeyFile = 4096

// Config is what an issuer of type ibmcloud needs besides what every issuer has.
type Config struct {
	// URL of IAM; empty: https://iam.cloud.ibm.com.
	URL string `yaml:"url"`
	// TokenURL is where our own key is exchanged for tokens; empty: the same as URL, so that the key goes nowhere else.
	TokenURL string `yaml:"token_url"`
	// ResourceControllerURL is where service credentials are deleted, such as https://resource-controller.cloud.ibm.com: with
	// the API key of one that is to be deleted, the credential goes too. Our identity needs the role to delete it at its service.
	// Empty: the key alone is deleted, and the notice says which credential is left.
	ResourceControllerURL string `yaml:"resource_controller_url"`
	Auth                  Auth   `yaml:"auth"`
	// Dial opens the connections to IAM, for simulations without a network; nil: the network's.
	Dial dialer `yaml:"-"`
}

// Auth is how we prove to IAM who we are.
type Auth struct {
	// Type is iam, the only one there is; empty: iam.
	Type string `yaml:"type"`
	// APIKeyFile holds the API key that stanch runs on; space around it is dropped. Its identity needs the role
	// Administrator on the IAM Identity service. A leak of this key, or of another key of the same identity, is never
	// acted on: give stanch a service ID of its own.
	APIKeyFile string `yaml:"apikey_file"`
}

// Check reports every fault by the path of its field. It reads the key file, and asks nobody.
func (c *Config) Check(fault func(field, problem string)) {
	checkURL(c.URL, "url", fault)
	checkURL(c.TokenURL, "token_url", fault)
	checkURL(c.ResourceControllerURL, "resource_controller_url", fault)
	if c.URL == "" && c.TokenURL != "" {
		fault("url", "is missing while token_url is set: our key would also go to "+iam.DefaultServiceURL)
	}
	if c.Auth.Type != "" && c.Auth.Type != "iam" {
		fault("auth.type", "is not iam")
	}
	if _, err := c.Auth.key(); err != nil {
		fault("auth.apikey_file", err.Error())
	}
}

// Open makes the issuer, which is also a Disabler, Deleter, Enabler, Locker, Examiner and Tenant. It asks nobody: IAM may be down when
// stanch starts.
func (c *Config) Open(name string, log *slog.Logger) (dispositions.Issuer, error) {
	var faults []error
	c.Check(func(field, problem string) { faults = append(faults, fmt.Errorf("%s %s", field, problem)) })
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("opening issuer %s: %w", name, err)
	}
	key, err := c.Auth.key()
	if err != nil {
		return nil, fmt.Errorf("opening issuer %s: %w", name, err)
	}
	last := new(atomic.Pointer[exchange])
	client, service := newClient(last, c.Dial), or(c.URL, iam.DefaultServiceURL)
	api, err := iam.NewIamIdentityV1(&iam.IamIdentityV1Options{URL: service, Authenticator: &core.NoAuthAuthenticator{}})
	if err != nil {
		return nil, fmt.Errorf("opening issuer %s: the SDK refuses the url", name)
	}
	api.Service.SetHTTPClient(client)
	controller, err := newController(c.ResourceControllerURL, client)
	if err != nil {
		return nil, fmt.Errorf("opening issuer %s: its resource controller: %w", name, err)
	}
	i := &issuer{
		service: api, controller: controller, last: last, log: log.With("issuer", name),
		tokens: &tokens{key: key, url: or(c.TokenURL, service), client: client},
	}
	i.own = &own{ask: func(ctx context.Context) (*iam.APIKey, error) {
		return i.details(ctx, "looking up our own key", key)
	}}
	return i, nil
}

// key reads the key file. Errors are worded to follow the name of the field.
func (a Auth) key() (leak.Secret, error) {
	if a.APIKeyFile == "" {
		return leak.Secret{}, errors.New("is missing")
	}
	info, err := os.Stat(a.APIKeyFile)
	if err != nil {
		return leak.Secret{}, fmt.Errorf("cannot be read: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxKeyFile {
		return leak.Secret{}, fmt.Errorf("is not a file of at most %d bytes", maxKeyFile)
	}
	data, err := os.ReadFile(a.APIKeyFile)
	if err != nil {
		return leak.Secret{}, fmt.Errorf("cannot be read: %w", err)
	}
	key := strings.TrimSpace(string(data))
	if !sendable(key) || core.HasBadFirstOrLastChar(key) {
		return leak.Secret{}, errors.New("holds no API key: the value alone, without quotes or braces")
	}
	return leak.NewSecret(key), nil
}

// checkURL reports what is wrong with a URL, without repeating it: it may hold a password.
func checkURL(s, field string, fault func(field, problem string)) {
	if s == "" {
		return
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		fault(field, "is not an http or https URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		fault(field, "must not hold a user, a query or a fragment")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		fault(field, "must be https: keys would travel in clear")
	}
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
