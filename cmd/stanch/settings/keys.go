package settings

import (
	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/role"
	"stanch/receiver/queue/embedded"
	"stanch/receiver/seal"
)

// Keys are the keys of keys_dir that the roles of the process need: the receiver and the collector seal, the engine also opens, and
// the notifier needs none.
type Keys struct {
	Fingerprints seal.FingerprintKey
	Recipient    *seal.Recipient
	Identities   *seal.Identities
}

// OpenKeys reads the keys. At the first start of a process with an embedded store it makes them: a store that already exists can
// only be used with the keys that it was made with.
func OpenKeys(c *config.Config) (k Keys, err error) {
	if c.Store.NATS == nil && !embedded.Exists(c.Store.Embedded.Dir) {
		if err := seal.Ensure(c.KeysDir); err != nil {
			return k, err
		}
	}
	return ReadKeys(c)
}

// ReadKeys reads the keys that the roles need.
func ReadKeys(c *config.Config) (k Keys, err error) {
	if c.Roles().Keyless() {
		return k, nil
	}
	if k.Fingerprints, err = seal.LoadFingerprintKey(c.KeysDir); err != nil {
		return k, err
	}
	if k.Recipient, err = seal.LoadRecipient(c.KeysDir); err != nil || !c.Roles().Have(role.Engine) {
		return k, err
	}
	if k.Identities, err = seal.LoadIdentities(c.KeysDir); err != nil {
		return k, err
	}
	return k, k.Identities.Matches(k.Recipient)
}

// id identifies the keys, so that a store can tell whether it was made with them. It is empty when the process has none.
func (k Keys) id() string {
	if k.Recipient == nil {
		return ""
	}
	return k.Fingerprints.ID()
}
