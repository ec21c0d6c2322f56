package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/role"
	"stanch/cmd/stanch/settings"
	"stanch/cmd/stanch/telemetry"
	"stanch/notify/deliver"
	"stanch/receiver/queue/cluster"
)

// newStreams makes the command that lays out the store in a cluster.
func newStreams() *cobra.Command {
	command := &cobra.Command{
		Use:     "streams",
		Short:   "Lay out the store in a NATS cluster",
		Example: "  stanch streams create --config.file stanch.yaml --nkey-file operator.nk",
	}
	command.AddCommand(newStreamsCreate())
	return command
}

func newStreamsCreate() *cobra.Command {
	var operator struct{ creds, nkey string }
	command := &cobra.Command{
		Use:   "create",
		Short: "Make the streams in the cluster of store.nats, and adjust their limits",
		Long: `Create makes the streams that are missing in the cluster of store.nats, adjusts the limits of those that are there, and
makes the consumers of the configured notifiers, so that nothing that an engine logs passes them by. It is done once, and again
after a change of max_bytes, with the credential of an operator of the cluster: the roles' own ones may not change a stream. It
needs keys_dir, because a store belongs to its fingerprint key, and no other secret of the configuration.`,
		Example: "  stanch streams create --config.file stanch.yaml --creds-file operator.creds\n" +
			"  stanch streams create --config.file stanch.yaml --nkey-file operator.nk",
		Args: cobra.NoArgs,
	}
	file := command.Flags().String("config.file", config.DefaultFile, "the configuration file")
	command.Flags().StringVar(&operator.creds, "creds-file", "", "the operator's credentials, instead of the configuration's")
	command.Flags().StringVar(&operator.nkey, "nkey-file", "", "the seed of the operator's nkey, instead of the configuration's credentials")
	command.MarkFlagsMutuallyExclusive("creds-file", "nkey-file")
	command.RunE = func(command *cobra.Command, _ []string) error {
		c, err := load(command, *file, role.Operator)
		if err != nil {
			return err
		}
		if c.Store.NATS == nil {
			return errors.New("the configuration has no store.nats: serve makes the streams of its embedded store itself")
		}
		keys, err := settings.ReadKeys(c)
		if err != nil {
			return err
		}
		target := settings.Cluster(c, keys, telemetry.NewLog(command.ErrOrStderr()))
		if operator.creds != "" || operator.nkey != "" {
			target.CredsFile, target.NKeyFile = operator.creds, operator.nkey
		}
		if err := createStreams(command.Context(), target, c.Notifiers); err != nil {
			return err
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "every stream is there, on %d servers each\n", target.Replicas)
		return err
	}
	return command
}

// createStreams makes the streams, and the consumers of notifiers.
func createStreams(ctx context.Context, target cluster.Config, notifiers []config.Notifier) (err error) {
	store, err := cluster.Open(ctx, target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	for _, n := range notifiers {
		if err := store.Prepare(ctx, deliver.Consumer(n.Name)); err != nil {
			return err
		}
	}
	return nil
}
