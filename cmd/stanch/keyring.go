package main

import (
	"stanch/receiver/queue"
	"stanch/receiver/seal"
)

// keyring is what keys_dir holds, as far as the roles of the process need it: the receiver and the collector seal, the engine
// opens as well, the notifier needs none.
type keyring struct {
	fingerprints seal.FingerprintKey
	recipient    *seal.Recipient
	identities   *seal.Identities
}

// openKeys reads the keys, and makes them at the first start of a process that has its store to itself: new ones are of no
// use to a store that was made with others.
func openKeys(c *Config) (k keyring, err error) {
	if c.Store.NATS == nil && !queue.Exists(c.Store.Embedded.Dir) {
		if err := seal.Ensure(c.KeysDir); err != nil {
			return k, err
		}
	}
	return readKeys(c)
}

// readKeys reads the keys that the roles need.
func readKeys(c *Config) (k keyring, err error) {
	if c.roles.keyless() {
		return k, nil
	}
	if k.fingerprints, err = seal.LoadFingerprintKey(c.KeysDir); err != nil {
		return k, err
	}
	if k.recipient, err = seal.LoadRecipient(c.KeysDir); err != nil || !c.roles.have(deciding) {
		return k, err
	}
	if k.identities, err = seal.LoadIdentities(c.KeysDir); err != nil {
		return k, err
	}
	return k, k.identities.Matches(k.recipient)
}

// id names the keys, so that a store can tell whether it belongs to them; empty: the process has none.
func (k keyring) id() string {
	if k.recipient == nil {
		return ""
	}
	return k.fingerprints.ID()
}
