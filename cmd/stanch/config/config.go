// Package config is the configuration file. [Config] is its manual for operators; [Load] reads it, and reports every fault with
// its place in the file.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"stanch/cmd/stanch/config/decode"
	"stanch/cmd/stanch/role"
	"stanch/dispositions/admit"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/cluster"
)

// Config is the configuration file. This comment and those of its fields are its manual.
//
// The file is one YAML document. Unknown and repeated keys are refused. A size is a whole number with B, KiB, MiB, GiB
// or TiB ("25MiB"; a bare number is bytes), a duration is written as Prometheus writes it ("500ms", "10m", "1h30m",
// "30d"). A field that is left out or zero takes the default named in its comment. Relative paths, those of defaults too,
// start at the directory of this file, not at the working directory of the process. The file holds no secrets: each secret is
// in a file of its own, whose path stands in a field that ends in _file or _files; that file must exist and must not be empty.
//
// Sources, issuers and notifiers each have a name (lower-case letters, digits and hyphens; it becomes a part of
// subjects, paths and metric labels, so renaming one makes it another) and a type, which says what else the entry holds.
//
// SIGHUP, and POST /-/reload by somebody who may act, read the file and the secret files again. Changes take
// effect all together, without a restart; if there is a fault anywhere, none of them does. Changing Store, KeysDir or a
// listener of Web is such a fault, because it needs a restart.
type Config struct {
	// Store is where alerts and incidents are kept.
	Store Store `yaml:"store"`
	// KeysDir is the directory of the sealing and fingerprint keys, ./keys beside this file by default; they are made at the
	// first start. Keep it apart from the store: whoever has both can read the secrets that wait there.
	KeysDir string `yaml:"keys_dir"`
	// Web is what listens, and how people reach it.
	Web Web `yaml:"web"`
	// Limits bound what one sender can make the receiver hold.
	Limits Limits `yaml:"limits"`
	// Sources are the feeds that report leaked keys; at least one. Each is served at /hooks/NAME.
	Sources []Source `yaml:"sources"`
	// Issuers are the services that can disable or delete a leaked key; at least one, asked in this order.
	Issuers []Issuer `yaml:"issuers"`
	// Policy says what is done with a leaked key.
	Policy Policy `yaml:"policy"`
	// Notifiers are the channels on which people are told. Without any, nobody is told.
	Notifiers []Notifier `yaml:"notifiers"`
	// Retention is how long the places where keys were seen are kept; 30d by default, and at most, because partner
	// agreements forbid longer.
	Retention time.Duration `yaml:"retention"`

	file      string          // it was read from here
	adapters  Registry        // with these
	roles     role.Roles      // for these
	abilities []policy.Issuer // what each of the issuers can do
}

// Store is where alerts and incidents are kept.
type Store struct {
	// Embedded is the NATS server inside the process, which is the default. Each write is on disk before it counts.
	Embedded Embedded `yaml:"embedded"`
	// NATS is a cluster of NATS servers with JetStream, instead: then roles can run in processes of their own (serve
	// --role), any number of each. Its streams are made by "stanch streams create".
	NATS *NATS `yaml:"nats"`
}

// NATS is a cluster of NATS servers. How much acknowledged data a power cut can lose depends on a setting of the
// servers (sync_interval), which "stanch doctor" reports; deploy/nats has a safe one.
type NATS struct {
	// URL is where the servers are, separated by commas: tls://a:4222,tls://b:4222. It must hold no user and no password.
	URL string `yaml:"url"`
	// CredsFile holds the credentials of a user: its JWT and its seed, as nsc writes them. It is read again at each
	// connection.
	CredsFile string `yaml:"creds_file"`
	// NKeyFile holds the seed of a user's nkey alone, for servers that list their users.
	NKeyFile string `yaml:"nkey_file"`
	// CAFile holds the certificates of the authority that signs the servers' own; the system's by default.
	CAFile string `yaml:"ca_file"`
	// CertFile holds our own certificate, for servers that ask for one.
	CertFile string `yaml:"cert_file"`
	// KeyFile holds the key of CertFile.
	KeyFile string `yaml:"key_file"`
	// Replicas is the number of servers that hold each message: 1, 3 or 5; 3 by default.
	Replicas int `yaml:"replicas"`
	// MaxBytes is how much all streams together may hold on each server before deliveries are refused with 503; 8GiB by
	// default.
	MaxBytes Size `yaml:"max_bytes"`
	// MonitoringURLs are the servers' monitoring addresses, such as http://a:8222, which "stanch doctor" asks what a power
	// cut would lose. No client can find that out in another way.
	MonitoringURLs []string `yaml:"monitoring_urls"`
	// Dir is the directory of the process's unix socket, by which commands reach it, ./run beside this file by default.
	// Processes on one machine each need their own.
	Dir string `yaml:"dir"`
}

// Embedded is the store of the NATS server inside the process.
type Embedded struct {
	// Dir is its directory, ./data beside this file by default; made at the first start, and locked while a process uses it.
	Dir string `yaml:"dir"`
	// MaxBytes is how much the store may hold before deliveries are refused with 503; 8GiB by default.
	MaxBytes Size `yaml:"max_bytes"`
}

// Web is what listens, and how people reach it.
type Web struct {
	// Public takes the deliveries of sources and nothing else; on 127.0.0.1:8080 by default.
	Public Listener `yaml:"public"`
	// Private is for operators: API, metrics and health; on 127.0.0.1:9095 by default.
	Private Listener `yaml:"private"`
	// ExternalURL is the http or https URL under which people reach the private listener; notices link to it. By default
	// they hold no link.
	ExternalURL string `yaml:"external_url"`
}

// Listener is one address to listen on.
type Listener struct {
	// Address is host:port; an empty host is every address of the machine, port 0 is any free port.
	Address string `yaml:"address"`
	// ConfigFile is a web configuration file of the Prometheus exporter toolkit: TLS and sign-in. By default there is
	// neither, which is only right on a loopback address or behind a proxy.
	ConfigFile string `yaml:"config_file"`
}

// Limits bound what one sender can make the receiver hold.
type Limits struct {
	// Body is the largest delivery that is read, 25MiB by default; a larger one is answered 413.
	Body Size `yaml:"body"`
	// AlertsPerDelivery is how many alerts one delivery may hold, 10000 by default.
	AlertsPerDelivery int `yaml:"alerts_per_delivery"`
	// InFlightBytes is how much of all deliveries together is held in memory at once, 64MiB by default and at least
	// Body; a delivery that does not fit is answered 503, and sources send it again.
	InFlightBytes Size `yaml:"in_flight_bytes"`
	// Connections is how many connections the public listener keeps at once: 1000 by default, and fewer where the system
	// allows fewer open files. Beyond that, the connection that has been idle longest is cut.
	Connections int `yaml:"connections"`
}

// Source is a feed that reports leaked keys.
type Source struct {
	// Name is the last part of its path, /hooks/NAME.
	Name string `yaml:"name"`
	// Type is the kind of feed.
	Type string `yaml:"type"`
	// Adapter holds the fields that a source of that type has beside these.
	Adapter SourceAdapter `yaml:"-"`
}

// Issuer is a service that issued keys and can disable or delete them.
type Issuer struct {
	// Name identifies it in incidents and metrics.
	Name string `yaml:"name"`
	// Type is the kind of service.
	Type string `yaml:"type"`
	// TokenTypes are the sources' names for the tokens that this issuer issues. A secret is shown to no issuer whose
	// token types and pattern do not match it; one of the two must be given.
	TokenTypes []string `yaml:"token_types"`
	// Pattern is a regular expression (RE2) that this issuer's tokens match from the first character to the last.
	Pattern string `yaml:"pattern"`
	// Accounts are the issuer's accounts whose keys may be acted on; a key of another is left alone, and paged. By
	// default every account that the credential reaches.
	Accounts []string `yaml:"accounts"`
	// Rate limits how many keys are looked up or acted on there, such as 20 (a second), 600/min or 60/h, so that the service
	// is not flooded; where one call takes many keys, it limits the calls. Unlimited by default.
	Rate admit.Rate `yaml:"rate"`
	// InFlight limits how many keys are worked on there at once: 64 by default, 1000 at most. While the service answers that
	// there are too many requests, fewer are worked on, whatever is set here.
	InFlight int `yaml:"in_flight"`
	// Adapter holds the fields that an issuer of that type has beside these.
	Adapter IssuerAdapter `yaml:"-"`
}

// Policy says what is done with a leaked key: what the key's owner configured for it, unless a field here says more.
type Policy struct {
	// Default is the action for a key whose issuer reports no setting: nothing, disable or delete; disable by default.
	Default leak.Action `yaml:"default"`
	// KeyNone is the action for a key whose own setting is none: nothing or disable; nothing by default. An issuer may
	// report none even when nobody chose it.
	KeyNone leak.Action `yaml:"key_none"`
	// DryRun decides and records, but touches no key.
	DryRun bool `yaml:"dry_run"`
	// Unlock allows a locked key to be unlocked in order to act on it. By default a locked key is paged.
	Unlock bool `yaml:"unlock"`
	// Rules are tried in this order, before the key's own setting; the first that matches decides. What an alert carries
	// may only raise an action: a rule that matches because of it never does less than would be done without the rule.
	Rules []Rule `yaml:"rules"`
	// Protect lists the ids of keys that are never touched and always paged.
	Protect []string `yaml:"protect"`
	// Fuse limits destructive actions.
	Fuse Fuse `yaml:"fuse"`
}

// Rule says what is done with some keys. A rule that lets what an alert carries lower an action is refused, as is one that
// orders what an issuer cannot do for a key that it may match.
type Rule struct {
	// Name identifies the rule in decisions and in the log: lower-case letters, digits and hyphens.
	Name string `yaml:"name"`
	// When is a CEL expression that is true for the keys that the rule is for. It may look at key (issuer, id, name, kind,
	// owner, account, locked, disabled, setting, created_at, last_used_at, expires_at), alert (source, type, url, place,
	// public, validity, several), source (name, type), incident (sighting_count, received_at) and now. The setting is "nothing", "disable", "delete" or,
	// where the issuer does not say, "". An unknown time makes the rule fail, as does a text longer than 1 KiB (4 KiB for
	// a URL), and the next rule is tried; has(FIELD) tells whether a field is known. What alert, source, incident, now and
	// key.last_used_at say comes with the alert: whoever leaks a key can influence it.
	When string `yaml:"when"`
	// Action is what is done then: nothing, disable or delete.
	Action leak.Action `yaml:"action"`
	// Severity is how urgently somebody must look: info, warning or critical; warning by default.
	Severity leak.Severity `yaml:"severity"`
	// Approval makes the action wait for a person. A delete that waits disables at once.
	Approval bool `yaml:"approval"`
	// Unlock says whether a locked key may be unlocked in order to act on it; by default as policy.unlock says.
	Unlock *bool `yaml:"unlock"`
}

// Fuse limits how many keys of one account are disabled or deleted within a time, so that a forged or mistaken flood
// cannot take a company down. What goes past it waits for a person.
type Fuse struct {
	// Max is how many; 50 by default.
	Max int `yaml:"max"`
	// Per is within what time; 10m by default.
	Per time.Duration `yaml:"per"`
}

// The default places: of the configuration file and, seen from there, of the store, of the keys, and of the socket where the
// store is elsewhere.
const (
	DefaultFile  = "stanch.yaml"
	defaultStore = "./data"
	defaultKeys  = "./keys"
	defaultRun   = "./run"
)

// maxRetention is how long a sighting of a partner source may be kept.
const maxRetention = 30 * 24 * time.Hour

// Load reads a configuration file and returns it with its defaults filled in, or all its faults, sorted by line. The secret files
// that the roles need, such as [role.Engine], must exist; without roles, all must.
func Load(file string, adapters Registry, roles ...string) (*Config, []decode.Fault) {
	return load(file, adapters, roles, func(*decode.Decoder, *Config) {})
}

// Reload reads the file again. What cannot change while the service runs is a fault.
func (c *Config) Reload() (*Config, []decode.Fault) {
	return load(c.file, c.adapters, c.roles, func(d *decode.Decoder, next *Config) { next.checkSame(c, d.Fault) })
}

func load(file string, adapters Registry, roles role.Roles, more func(*decode.Decoder, *Config)) (*Config, []decode.Fault) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, []decode.Fault{{File: file, Text: "cannot be read: " + decode.Reason(err)}}
	}
	return parse(file, data, adapters, roles, more)
}

// parse takes further checks of a configuration whose defaults are filled in.
func parse(
	file string, data []byte, adapters Registry, roles role.Roles, more func(*decode.Decoder, *Config),
) (*Config, []decode.Fault) {
	d := decode.New(file, data, adapters.adapt)
	c := &Config{file: file, adapters: adapters, roles: roles}
	if d.Document(c) {
		c.fillIn()
		c.checkFiles(d)
		c.check(func(field, problem string) {
			if needs(roles, field) {
				d.Fault(field, problem)
			}
		})
		c.checkRules(d)
		c.checkConditions(d)
		more(d, c)
	}
	if faults := d.Faults(); len(faults) > 0 {
		return nil, faults
	}
	return c, nil
}

func (c *Config) fillIn() {
	c.Store.fillIn(c.file)
	fallback(&c.KeysDir, decode.Resolve(c.file, defaultKeys))
	fallback(&c.Web.Public.Address, "127.0.0.1:8080")
	fallback(&c.Web.Private.Address, "127.0.0.1:9095")
	fallback(&c.Limits.Body, 25*mebibyte)
	fallback(&c.Limits.AlertsPerDelivery, 10_000)
	fallback(&c.Limits.InFlightBytes, 64*mebibyte)
	fallback(&c.Limits.Connections, 1000)
	fallback(&c.Policy.Default, leak.Disable)
	fallback(&c.Policy.KeyNone, leak.Nothing)
	fallback(&c.Policy.Fuse.Max, 50)
	fallback(&c.Policy.Fuse.Per, 10*time.Minute)
	fallback(&c.Retention, maxRetention)
}

func (s *Store) fillIn(file string) {
	if s.NATS == nil {
		fallback(&s.Embedded.Dir, decode.Resolve(file, defaultStore))
		return
	}
	fallback(&s.NATS.Replicas, cluster.DefaultReplicas)
	fallback(&s.NATS.MaxBytes, queue.DefaultMaxStore)
	fallback(&s.NATS.Dir, decode.Resolve(file, defaultRun))
}

// Dir returns the directory of the unix socket of a process.
func (s Store) Dir() string {
	if s.NATS != nil {
		return s.NATS.Dir
	}
	return s.Embedded.Dir
}

// SocketDir returns the directory of the unix socket of a serve that runs on a configuration file; the rest of the file may be
// faulty. A file with the default name need not exist.
func SocketDir(file string) (string, error) {
	var c struct {
		Store Store `yaml:"store"`
	}
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && file == DefaultFile:
	case err != nil:
		return "", fmt.Errorf("reading the configuration: %w", err)
	default:
		d := decode.New(file, data, Registry{}.adapt)
		if !d.Document(&c) || d.Faulty("store") {
			return "", fmt.Errorf("reading the configuration: run 'stanch check-config %s'", file)
		}
	}
	c.Store.fillIn(file)
	return c.Store.Dir(), nil
}

// Roles returns the roles that the configuration was read for.
func (c *Config) Roles() role.Roles { return c.roles }

// SourceTypes returns the types of the configured sources, by name.
func (c *Config) SourceTypes() map[string]string {
	types := map[string]string{}
	for _, s := range c.Sources {
		types[s.Name] = s.Type
	}
	return types
}

// Collected returns the sources that the collector works for.
func (c *Config) Collected() []Source {
	return slices.DeleteFunc(slices.Clone(c.Sources), func(s Source) bool {
		_, ok := s.Adapter.(VendorAdapter)
		return !ok
	})
}

func fallback[T comparable](field *T, value T) { *field = cmp.Or(*field, value) }
