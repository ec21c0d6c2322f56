package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/seal"
)

// examineKeys looks at the sealing and fingerprint keys, and makes none.
func (c *Config) examineKeys(context.Context) []leak.Finding {
	var found leak.Findings
	const check = "directory"
	info, err := os.Stat(c.KeysDir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !queue.Exists(c.Store.Embedded.Dir):
		found.Doubt(check, "it is not there: the first start makes it, and its keys")
		return found
	case err != nil:
		found.Broken(check, "it cannot be read: %s", reason(err))
		return found
	}
	examineOwner(check, info, &found)
	if within(c.KeysDir, c.Store.Embedded.Dir) {
		found.Doubt("place", "they are inside the store's directory: whoever copies the store can read the secrets in it")
	} else {
		found.Good("place", "they are apart from the store")
	}
	if err := checkKeys(c.KeysDir); err != nil {
		found.Broken("keys", "%v", err)
	} else {
		found.Good("keys", "they are there, readable by us alone, and open what is sealed")
	}
	return found
}

// checkKeys says what is wrong with the keys of a directory.
func checkKeys(dir string) error {
	recipient, err := seal.LoadRecipient(dir)
	if err != nil {
		return err
	}
	identities, err := seal.LoadIdentities(dir)
	if err != nil {
		return err
	}
	return identities.Matches(recipient)
}

// within reports whether one directory is another, or lies in it.
func within(dir, other string) bool {
	path, err := filepath.Rel(resolved(other), resolved(dir))
	return err == nil && filepath.IsLocal(path)
}

// resolved is where a path leads, as far as it exists.
func resolved(path string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
