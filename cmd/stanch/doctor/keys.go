package doctor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/config/decode"
	"stanch/cmd/stanch/role"
	"stanch/cmd/stanch/settings"
	"stanch/receiver/leak"
	"stanch/receiver/queue/embedded"
	"stanch/receiver/seal"
)

// examineKeys examines the sealing and fingerprint keys. It makes none.
func examineKeys(c *config.Config) []leak.Finding {
	var found leak.Findings
	const check = "directory"
	if c.Roles().Keyless() {
		found.Good("keys", "a notifier needs none")
		return found
	}
	info, err := os.Stat(c.KeysDir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && c.Store.NATS == nil && !embedded.Exists(c.Store.Embedded.Dir):
		found.Doubt(check, "it is not there: the first start makes it, and its keys")
		return found
	case err != nil:
		found.Broken(check, "it cannot be read: %s", decode.Reason(err))
		return found
	}
	if c.Store.NATS == nil { // otherwise nothing is ever written there: the files alone matter
		examineOwner(check, info, &found)
	}
	if c.Store.NATS == nil && within(c.KeysDir, c.Store.Embedded.Dir) {
		found.Doubt("place", "they are inside the store's directory: whoever copies the store can read the secrets in it")
	} else {
		found.Good("place", "they are apart from the store")
	}
	examineKeyFiles(c, &found)
	return found
}

// examineKeyFiles checks that there are the keys that the roles need, and no more.
func examineKeyFiles(c *config.Config, found *leak.Findings) {
	const check = "keys"
	if _, err := settings.ReadKeys(c); err != nil {
		found.Broken(check, "%v", err)
		return
	}
	if c.Roles().Have(role.Engine) {
		found.Good(check, "they are there, readable by us alone, and open what is sealed")
		return
	}
	if _, err := seal.LoadIdentities(c.KeysDir); err == nil {
		found.Doubt(check, "the private sealing key is here too, which only the engine needs: take it away")
		return
	}
	found.Good(check, "they are there, readable by us alone, and seal what nobody here can open")
}

// within reports whether one directory is another, or lies in it.
func within(dir, other string) bool {
	path, err := filepath.Rel(resolved(other), resolved(dir))
	return err == nil && filepath.IsLocal(path)
}

// resolved returns a path without links, as far as it exists.
func resolved(path string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
