package config

import (
	"fmt"
	"log/slog"

	"stanch/cmd/stanch/config/decode"
	"stanch/cmd/stanch/role"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
)

// NewPolicy compiles the policy. For a configuration that was loaded it returns no fault.
func (c *Config) NewPolicy() (*policy.Policy, []policy.Fault) { return policy.New(c.policy()) }

func (c *Config) policy() policy.Config {
	p := c.Policy
	decides := policy.Config{
		Default: p.Default, KeyNone: p.KeyNone, DryRun: p.DryRun, Unlock: p.Unlock, Protect: p.Protect, Issuers: c.abilities,
	}
	for _, r := range p.Rules {
		decides.Rules = append(decides.Rules, policy.Rule(r))
	}
	return decides
}

// checkRules reports every fault of the policy's rules, where it is in the file.
func (c *Config) checkRules(d *decode.Decoder) {
	c.abilities = c.ask(d)
	_, faults := c.NewPolicy()
	for _, f := range faults {
		d.FaultWithin(fmt.Sprintf("policy.rules[%d].%s", f.Rule, f.Field), f.Line, f.Column, f.Text)
	}
}

// ask opens every issuer, which asks nobody, to see what it can do. One with a fault, and one that is another role's, is
// thought to be able to do everything, so that nothing more is said.
func (c *Config) ask(d *decode.Decoder) []policy.Issuer {
	var all []policy.Issuer
	for i, entry := range c.Issuers {
		path := fmt.Sprintf("issuers[%d]", i)
		able := policy.Issuer{Name: entry.Name, Abilities: leak.Abilities{Disable: true, Enable: true, Delete: true, Read: true, Lock: true}}
		if entry.Adapter != nil && c.roles.Have(role.Engine) && !d.Faulty(path) {
			issuer, err := entry.Adapter.Open(entry.Name, slog.New(slog.DiscardHandler))
			if err == nil {
				able.Abilities = issuer.Abilities()
			} else {
				d.Fault(path, "cannot be opened: "+err.Error())
			}
		}
		all = append(all, able)
	}
	return all
}
