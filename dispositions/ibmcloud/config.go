package ibmcloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	iam "github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"stanch/dispositions"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
	"stanch/receiver/outbound/secretfile"
)

const (
	// callTimeout bounds a call whose context sets no sooner end, a token request among them.
	callTimeout = 20 * time.Second
	// maxConnections is how many connections are kept open: one for each reconcile that the engine can take up, and half as many
	// for what a reconcile asks at the same time.
	maxConnections = dispositions.MaxInFlight * 3 / 2
)

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
	Dial func(ctx context.Context, network, address string) (net.Conn, error) `yaml:"-"`
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

// Open makes the issuer, which is also a Tenant, Watcher, Tracer, Recogniser and Adviser. It asks nobody: IAM may be down when
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
	last := new(atomic.Pointer[outbound.Exchange])
	client, service := c.client(last), or(c.URL, iam.DefaultServiceURL)
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

// client makes the one client for tokens and keys. It notes the last answer, from which is read how IAM's clock stands.
func (c *Config) client(last *atomic.Pointer[outbound.Exchange]) *http.Client {
	return outbound.NewClient(outbound.Config{
		Timeout: callTimeout, Connections: maxConnections, Dial: c.Dial,
		Answered: func(e outbound.Exchange) { last.Store(&e) },
	})
}

// key reads the key file. Errors are worded to follow the name of the field.
func (a Auth) key() (leak.Secret, error) {
	key, err := secretfile.Token(a.APIKeyFile)
	if err == nil && core.HasBadFirstOrLastChar(key.Reveal()) {
		return leak.Secret{}, errors.New("holds no API key: the value alone, without quotes or braces")
	}
	return key, err
}

// checkURL reports what is wrong with a URL that may be left out.
func checkURL(s, field string, fault func(field, problem string)) {
	if s == "" {
		return
	}
	if err := outbound.CheckURL(s, outbound.URLRules{}); err != nil {
		fault(field, err.Error())
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
