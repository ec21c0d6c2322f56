package config

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"stanch/cmd/stanch/config/decode"
	"stanch/cmd/stanch/role"
	"stanch/dispositions"
	"stanch/receiver/leak"
	"stanch/receiver/queue"

	"github.com/prometheus/exporter-toolkit/web"
)

// faultFunc takes the path of a field and what is wrong with it.
type faultFunc func(field, problem string)

// under returns a faultFunc for the fields within a field.
func (f faultFunc) under(path string) faultFunc {
	return func(field, problem string) { f(decode.Join(path, field), problem) }
}

// check reports every fault of a configuration whose defaults are filled in.
func (c *Config) check(fault faultFunc) {
	c.Store.check(fault.under("store"))
	c.Web.check(fault.under("web"))
	c.Limits.check(fault.under("limits"))
	c.Policy.check(fault.under("policy"))
	if c.Retention > maxRetention {
		fault("retention", "must be 30d at most: partner agreements allow no longer")
	}
	checkEntries(fault, "sources", c.Sources)
	checkEntries(fault, "issuers", c.Issuers)
	checkEntries(fault, "notifiers", c.Notifiers)
	for _, required := range []struct {
		field string
		count int
	}{{"sources", len(c.Sources)}, {"issuers", len(c.Issuers)}} {
		if required.count == 0 {
			fault(required.field, "give at least one")
		}
	}
}

func (s Store) check(fault faultFunc) {
	if s.NATS == nil {
		checkMaxBytes(fault, "embedded.max_bytes", s.Embedded.MaxBytes)
		return
	}
	if s.Embedded != (Embedded{}) {
		fault("embedded", "give embedded or nats, not both")
	}
	s.NATS.check(fault.under("nats"))
}

func checkMaxBytes(fault faultFunc, field string, b Size) {
	if b != 0 && b < queue.MinMaxStore {
		fault(field, "must be at least 16MiB, or the largest messages have no room")
	}
}

func (n NATS) check(fault faultFunc) {
	checkServers(fault, n.URL)
	if n.CredsFile != "" && n.NKeyFile != "" {
		fault("nkey_file", "give creds_file or nkey_file, not both")
	}
	if (n.CertFile == "") != (n.KeyFile == "") {
		fault("cert_file", "needs key_file, and key_file needs cert_file")
	}
	if !slices.Contains([]int{1, 3, 5}, n.Replicas) {
		fault("replicas", "must be 1, 3 or 5: a majority of them must be up for anything to be stored")
	}
	checkMaxBytes(fault, "max_bytes", n.MaxBytes)
	for i, address := range n.MonitoringURLs {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil {
			fault(fmt.Sprintf("monitoring_urls[%d]", i), "must be an http or https URL with a host and without a user")
		}
	}
}

func checkServers(fault faultFunc, urls string) {
	if urls == "" {
		fault("url", "is missing")
		return
	}
	for address := range strings.SplitSeq(urls, ",") {
		u, err := url.Parse(strings.TrimSpace(address))
		switch {
		case err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme):
			fault("url", "must be nats or tls URLs, separated by commas")
		case u.User != nil:
			fault("url", "must hold no user and no password: they belong in creds_file or nkey_file")
		}
	}
}

// named is an entry of one of the three lists.
type named interface {
	name() string
	check(fault faultFunc)
}

// goodName keeps a name fit for a path, a subject and a metric label.
var goodName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

func checkEntries[E named](fault faultFunc, field string, entries []E) {
	first := map[string]int{}
	for i, e := range entries {
		here := fault.under(fmt.Sprintf("%s[%d]", field, i))
		earlier, taken := first[e.name()]
		switch {
		case e.name() == "":
			here("name", "is missing")
		case !goodName.MatchString(e.name()):
			here("name", "must consist of lower-case letters, digits and hyphens, and not begin with a hyphen")
		case taken:
			here("name", fmt.Sprintf("is the name of %s[%d] already", field, earlier))
		default:
			first[e.name()] = i
		}
		e.check(here)
	}
}

func (s Source) name() string   { return s.Name }
func (i Issuer) name() string   { return i.Name }
func (n Notifier) name() string { return n.Name }

func (s Source) check(fault faultFunc) {
	if s.Adapter != nil {
		s.Adapter.Check(fault)
	}
}

func (i Issuer) check(fault faultFunc) {
	if len(i.TokenTypes) == 0 && i.Pattern == "" {
		fault("token_types", "give token_types or a pattern: without both, this issuer is shown no secret")
	}
	if i.InFlight < 0 || i.InFlight > dispositions.MaxInFlight {
		fault("in_flight", fmt.Sprintf("must be from 1 to %d", dispositions.MaxInFlight))
	}
	if problem := checkPattern(i.Pattern); problem != "" {
		fault("pattern", problem)
	}
	if i.Adapter != nil {
		i.Adapter.Check(fault)
	}
}

func checkPattern(pattern string) string {
	re, err := regexp.Compile(pattern)
	if at, ok := errors.AsType[*syntax.Error](err); ok {
		return "not a regular expression: " + string(at.Code)
	}
	if pattern != "" && re.MatchString("") {
		return "matches even nothing at all; it must tell this issuer's tokens from all others"
	}
	return ""
}

func (w Web) check(fault faultFunc) {
	w.Public.check(fault.under("public"))
	w.Private.check(fault.under("private"))
	anyPort := strings.HasSuffix(w.Public.Address, ":0")
	if w.Public.Address == w.Private.Address && !anyPort {
		fault("private.address", "is the public listener's too")
	}
	if w.ExternalURL == "" {
		return
	}
	u, err := url.Parse(w.ExternalURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		fault("external_url", "must be an http or https URL with a host")
	} else if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		fault("external_url", "must hold no user, no query and no fragment")
	}
}

func (l Listener) check(fault faultFunc) {
	_, port, err := net.SplitHostPort(l.Address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		fault("address", "must be host:port with a number as port")
	}
	if err := web.Validate(l.ConfigFile); err != nil {
		fault("config_file", "is not a working web configuration; the exporter toolkit documents its fields")
	}
}

func (l Limits) check(fault faultFunc) {
	if l.AlertsPerDelivery < 0 {
		fault("alerts_per_delivery", "must be positive")
	}
	if l.Connections < 0 {
		fault("connections", "must be positive")
	}
	if l.InFlightBytes < l.Body {
		fault("in_flight_bytes", "must be at least limits.body, or no delivery of that size is ever accepted")
	}
}

func (p Policy) check(fault faultFunc) {
	checkAction(fault, "default", p.Default, leak.Nothing, leak.Disable, leak.Delete)
	checkAction(fault, "key_none", p.KeyNone, leak.Nothing, leak.Disable)
	if slices.Contains(p.Protect, "") {
		fault("protect", "must hold no empty id")
	}
	if p.Fuse.Max < 0 {
		fault("fuse.max", "must be positive")
	}
}

func checkAction(fault faultFunc, field string, action leak.Action, allowed ...leak.Action) {
	if slices.Contains(allowed, action) {
		return
	}
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = string(a)
	}
	fault(field, decode.OneOf(words, string(action)))
}

// checkSame reports what cannot change while the service runs.
func (c *Config) checkSame(running *Config, fault faultFunc) {
	for _, part := range []struct {
		field string
		same  bool
	}{
		{"store", reflect.DeepEqual(c.Store, running.Store)},
		{"keys_dir", c.KeysDir == running.KeysDir},
		{"web.public", c.Web.Public == running.Web.Public},
		{"web.private", c.Web.Private == running.Web.Private},
	} {
		if !part.same {
			fault(part.field, "cannot change while stanch runs: restart it, or take the change back")
		}
	}
}

// checkFiles reports every missing or empty file of those that the roles need.
func (c *Config) checkFiles(d *decode.Decoder) {
	for _, file := range d.Files() {
		if !needs(c.roles, file.Path) {
			continue
		}
		if problem := checkFile(file); problem != "" {
			d.Fault(file.Path, problem)
		}
	}
}

// needs reports whether roles need a file that a field of the configuration names. Each secret is for one role alone, so
// that nobody else has to have it.
func needs(r role.Roles, path string) bool {
	if !decode.NamesFile(path) {
		return true
	}
	list, field, _ := strings.Cut(path, "].")
	list, _, _ = strings.Cut(list, "[")
	switch {
	case list == "sources" && strings.HasPrefix(field, "api."):
		return r.Have(role.Collector)
	case list == "sources", strings.HasPrefix(path, "web.public."):
		return r.Have(role.Receiver)
	case list == "issuers":
		return r.Have(role.Engine)
	case list == "notifiers":
		return r.Have(role.Notifier)
	case path == "store.nats.creds_file", path == "store.nats.nkey_file", strings.HasPrefix(path, "web.private."):
		return !slices.Contains(r, role.Operator) // who may be somebody else, and listens nowhere
	}
	return true
}

// checkFile reports what is wrong with a file that a field names. It does not repeat the path, which may be the secret.
func checkFile(file decode.File) string {
	info, err := os.Stat(file.Name)
	if err == nil && !info.Mode().IsRegular() {
		return "is not a regular file"
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(file.Name)
	}
	switch {
	case err != nil && file.Relative:
		return decode.Reason(err) + " (seen from the directory of this file)"
	case err != nil:
		return decode.Reason(err)
	case len(bytes.TrimSpace(data)) == 0:
		return "the file is empty"
	}
	return ""
}
