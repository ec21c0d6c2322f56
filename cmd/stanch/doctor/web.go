package doctor

import (
	"net"
	"os"

	"go.yaml.in/yaml/v4"

	"stanch/cmd/stanch/config"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// examineWeb checks who can reach the listeners, as far as the configuration tells.
func examineWeb(c *config.Config) []leak.Finding {
	var found leak.Findings
	examinePublic(c.Web.Public, &found)
	examinePrivate(c.Web.Private, &found)
	switch {
	case c.Web.ExternalURL != "":
		found.Good("external URL", "notices link to the incident")
	case len(c.Notifiers) > 0:
		found.Doubt("external URL", "there is none: notices hold no link to the incident")
	}
	return found
}

func examinePublic(l config.Listener, found *leak.Findings) {
	const check = "public listener"
	guard, err := guardOf(l.ConfigFile)
	switch {
	case err != nil:
		found.Broken(check, "its config_file cannot be read: %v", err)
	case guard.signsIn():
		found.Broken(check, "its config_file asks for a sign-in, which no source can give: every delivery is refused")
	case guard.TLS != nil:
		found.Good(check, "%s, with TLS", l.Address)
	case loopback(l.Address):
		found.Good(check, "%s, which only this machine reaches: a proxy has to bring TLS", l.Address)
	default:
		found.Doubt(check, "%s has no TLS: leaked keys arrive in clear, unless a proxy in front of it has", l.Address)
	}
}

func examinePrivate(l config.Listener, found *leak.Findings) {
	const check = "private listener"
	guard, err := guardOf(l.ConfigFile)
	switch {
	case err != nil:
		found.Broken(check, "its config_file cannot be read: %v", err)
	case loopback(l.Address):
		found.Good(check, "%s, which only this machine reaches", l.Address)
	case !guard.signsIn():
		found.Broken(check, "everybody who reaches %s may read incidents: give it a config_file with a sign-in", l.Address)
	case guard.TLS == nil:
		found.Doubt(check, "%s has no TLS: passwords travel in clear", l.Address)
	default:
		found.Good(check, "%s, with TLS and a sign-in", l.Address)
	}
}

// loopback reports whether only this machine reaches the listener.
func loopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	return outbound.Loopback(host)
}

// guard is the protection that a web configuration file of the exporter toolkit gives a listener; the zero value is none.
type guard struct {
	TLS *struct {
		ClientAuth string `yaml:"client_auth_type"`
	} `yaml:"tls_server_config"`
	Users map[string]string `yaml:"basic_auth_users"`
}

// signsIn reports whether nobody comes in without a password or a certificate.
func (g guard) signsIn() bool {
	return len(g.Users) > 0 || g.TLS != nil && g.TLS.ClientAuth == "RequireAndVerifyClientCert"
}

func guardOf(file string) (g guard, err error) {
	if file == "" {
		return g, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return g, err
	}
	return g, yaml.Load(data, &g)
}
