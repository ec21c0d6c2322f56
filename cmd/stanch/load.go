package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/settings"
)

// load reads a configuration file for the roles of a command. Every fault goes to the command's standard error, and the error
// counts them.
func load(command *cobra.Command, file string, roles ...string) (*config.Config, error) {
	c, faults := config.Load(file, adapters, roles...)
	for _, fault := range faults {
		_, _ = fmt.Fprintln(command.ErrOrStderr(), fault)
	}
	switch len(faults) {
	case 0:
		return c, nil
	case 1:
		return nil, errors.New("the configuration has a fault")
	}
	return nil, fmt.Errorf("the configuration has %d faults", len(faults))
}

// open reads a configuration file as load does, and opens what it names, in silence.
func open(command *cobra.Command, file string, roles ...string) (*settings.Settings, error) {
	c, err := load(command, file, roles...)
	if err != nil {
		return nil, err
	}
	opened, bad := settings.Open(c, nil, slog.New(slog.DiscardHandler))
	return opened, errors.Join(bad...)
}
