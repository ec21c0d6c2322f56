package github

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"stanch/receiver/github/githubclient"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/secretfile"
)

// minHookSecret is the shortest secret of a hook, in bytes: with one signed delivery, anybody can try out shorter ones
// offline. A file of more than maxHookSecret holds something else.
const (
	minHookSecret = 16
	maxHookSecret = 4 << 10
)

// How often an organisation can be swept.
const (
	defaultSweep = time.Hour
	minSweep     = time.Second
	maxSweep     = 24 * time.Hour
)

// HookConfig configures a source of type github_webhook: the secret scanning of one organisation. Its deliveries may
// come from a hook of the organisation, from hooks of its repositories or from a GitHub App; subscribe them to the
// events "Secret scanning alert" and "Secret scanning alert location", as JSON or as a form.
type HookConfig struct {
	// SecretFiles hold the secrets of the hooks, one line of at least 16 bytes each; at least one file. A delivery signed
	// with any of them is accepted, so to rotate a secret give both, change it at GitHub, and remove the old one. A hook
	// without a secret at GitHub signs nothing, and each of its deliveries is refused with 401.
	SecretFiles []string `yaml:"secret_files"`
	// Organization is the login of the organisation, in any case. Deliveries about another owner's repositories are ignored,
	// and nobody else's alerts are ever fetched.
	Organization string `yaml:"organization"`
	// API is how alerts are fetched, because a delivery does not hold the secret, and closed after the proof.
	API githubclient.Config `yaml:"api"`
	// Sweep is how often the organisation is searched for what no delivery reported: open alerts, and failed deliveries; 1h by
	// default, 1d at most. It cannot be turned off, because GitHub never repeats a delivery by itself.
	Sweep time.Duration `yaml:"sweep"`
}

// Check reports every fault by the field that has it. No problem holds a secret.
func (c *HookConfig) Check(fault func(field, problem string)) {
	if len(c.SecretFiles) == 0 {
		fault("secret_files", "give at least one: without a secret, anybody could send deliveries")
	}
	for i, file := range c.SecretFiles {
		if _, err := readHookSecret(file); err != nil {
			fault(fmt.Sprintf("secret_files[%d]", i), err.Error())
		}
	}
	switch {
	case c.Organization == "":
		fault("organization", "is missing: it confines what is accepted and fetched")
	case !githubclient.IsName(c.Organization):
		fault("organization", "must be just the login of an organisation")
	}
	if c.Sweep != 0 && (c.Sweep < minSweep || c.Sweep > maxSweep) {
		fault("sweep", "must be between 1s and 1d: failed deliveries are listed for a few days only")
	}
	c.API.Check(func(field, problem string) { fault(strings.TrimSuffix("api."+field, "."), problem) })
}

// SweepEvery is how long after the start of one sweep the next one is due.
func (c *HookConfig) SweepEvery() time.Duration {
	if c.Sweep == 0 {
		return defaultSweep
	}
	return c.Sweep
}

// readHookSecret reads the one line of a file with the secret of a hook. Blanks in it count: GitHub takes any text.
func readHookSecret(path string) (leak.Secret, error) {
	data, err := secretfile.Read(path, maxHookSecret)
	if err != nil {
		return leak.Secret{}, err
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if len(strings.TrimSpace(text)) < minHookSecret {
		return leak.Secret{}, fmt.Errorf("names a file with fewer than %d bytes: make a long random secret", minHookSecret)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return leak.Secret{}, errors.New("names a file that is not one line with a secret")
	}
	return leak.NewSecret(text), nil
}
