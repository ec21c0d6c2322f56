package gitlab

import (
	"cmp"
	"fmt"
	"time"

	"stanch/receiver/gitlab/gitlabclient"
)

// signingKeySize is how many bytes a signing token encodes. One that was copied incompletely has fewer.
const signingKeySize = 32

// How often a group can be swept.
const (
	defaultSweep = time.Hour
	minSweep     = time.Second
	maxSweep     = 24 * time.Hour
)

// HookConfig configures a source of type gitlab_webhook: the secret detection of one group. Its deliveries may come from a
// hook of the group or from hooks of its projects; let those send "Vulnerability events", or, before GitLab 17.7, "Job
// events". Other events are answered with success and ignored, because GitLab switches off a hook that fails.
type HookConfig struct {
	// SigningTokenFiles hold the signing tokens of the hooks, which GitLab has since 19.0: whsec_ and a key in base64, one
	// line each. A delivery signed with any of them is accepted, so to rotate a token give both, change it at GitLab, and
	// remove the old one. Our clock must be right within five minutes.
	SigningTokenFiles []string `yaml:"signing_token_files"`
	// SecretTokenFiles hold the secret tokens of hooks of an older GitLab, one line each. Every delivery holds such a token in
	// plain text; it proves nothing about the body, and a copy of a delivery counts as another one. They have no effect beside
	// signing tokens: a delivery without a signature is then refused, because a forger would just leave it out.
	SecretTokenFiles []string `yaml:"secret_token_files"`
	// Group is the full path of the group, such as acme or acme/platform, in any case. Deliveries about projects outside it are
	// ignored, and nobody else's vulnerabilities are ever fetched.
	Group string `yaml:"group"`
	// API is how vulnerabilities are fetched, because a delivery does not hold the secret, and resolved after the proof.
	API gitlabclient.Config `yaml:"api"`
	// Sweep is how often the group is searched for what no delivery reported: open vulnerabilities, and failed deliveries; 1h
	// by default, 1d at most. It cannot be turned off, because GitLab never repeats a delivery by itself.
	Sweep time.Duration `yaml:"sweep"`
}

// Check reports every fault by the field that has it. No problem holds a secret.
func (c *HookConfig) Check(fault func(field, problem string)) {
	if len(c.SigningTokenFiles)+len(c.SecretTokenFiles) == 0 {
		fault("signing_token_files", "give at least one, or secret_token_files for GitLab before 19.0: "+
			"without either, anybody could send deliveries")
	}
	for i, file := range c.SigningTokenFiles {
		if err := checkSigningToken(file); err != nil {
			fault(fmt.Sprintf("signing_token_files[%d]", i), err.Error())
		}
	}
	checkTokens("secret_token_files", c.SecretTokenFiles, fault)
	switch {
	case c.Group == "":
		fault("group", "is missing: it confines what is accepted and fetched")
	case !gitlabclient.IsPath(c.Group):
		fault("group", "must be just the full path of a group")
	}
	if c.Sweep != 0 && (c.Sweep < minSweep || c.Sweep > maxSweep) {
		fault("sweep", "must be between 1s and 1d: failed deliveries are listed for a week only")
	}
	c.API.Check(func(field, problem string) { fault("api."+field, problem) })
}

// SweepEvery is how long after the start of one sweep the next one is due.
func (c *HookConfig) SweepEvery() time.Duration { return cmp.Or(c.Sweep, defaultSweep) }

func checkSigningToken(path string) error {
	key, err := readSigningToken(path)
	if err == nil && len(key.Reveal()) != signingKeySize {
		return fmt.Errorf("names a file whose token is not of %d bytes, as GitLab's are", signingKeySize)
	}
	return err
}
