package main

import (
	"errors"
	"fmt"

	"stanch/receiver/seal"

	"github.com/spf13/cobra"
)

// newKeygen makes the command that makes key files.
func newKeygen() *cobra.Command {
	command := &cobra.Command{
		Use:   "keygen DIR",
		Short: "Make sealing and fingerprint keys",
		Long: `Keygen makes a sealing identity, its recipient and a fingerprint key in DIR, each readable by the owner only.
It never overwrites a key. With --rotate it adds a sealing identity to those in DIR: what was sealed before still
opens, and everything is sealed to the new one from the next start on. The fingerprint key names incidents and is not
rotated.`,
		Example: "  stanch keygen ./keys\n  stanch keygen --rotate ./keys",
		Args:    give("one DIR"),
	}
	rotate := command.Flags().Bool("rotate", false, "add a sealing identity to the keys in DIR")
	command.RunE = func(command *cobra.Command, args []string) error {
		if err := makeKeys(args[0], *rotate); err != nil {
			return err
		}
		_, err := fmt.Fprintf(command.OutOrStdout(), "keys are in %s; keep a copy, apart from the store\n", args[0])
		return err
	}
	return command
}

// makeKeys makes the keys of dir, or adds a sealing identity to them. An incomplete directory gets none: a new sealing
// identity would hide that the fingerprint key, without which no incident is found again, has been lost.
func makeKeys(dir string, rotate bool) error {
	if !rotate {
		err := seal.Generate(dir)
		if errors.Is(err, seal.ErrKeysExist) {
			return fmt.Errorf("%w; --rotate adds a sealing identity to them", err)
		}
		return err
	}
	if _, err := seal.LoadFingerprintKey(dir); err != nil {
		return err
	}
	if _, err := seal.LoadIdentities(dir); err != nil {
		return err
	}
	return seal.Rotate(dir)
}
