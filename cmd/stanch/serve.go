package main

import (
	"errors"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/role"
	"stanch/cmd/stanch/serve"
	"stanch/cmd/stanch/telemetry"
)

// gcPercent is how much garbage the service lets pile up, unless GOGC says otherwise. What it holds is small and what it
// throws away is much: under load this takes a sixth off its memory, and a few per cent off its throughput.
const gcPercent = 50

func newServe() *cobra.Command {
	command := &cobra.Command{
		Use:   "serve",
		Short: "Run the service",
		Long: `Serve runs the receiver, the collector, the engine and the notifier, with the store inside the process, until SIGINT or
SIGTERM. With store.nats each role can run in processes of its own (--role), any number of each; only the receiver has a
public listener, and only the engine answers for incidents. SIGHUP reads the configuration file again, and the secret
files that it names. If it has a fault, or changes something that needs a restart (store, keys_dir, web.public,
web.private), the old configuration stays in force and the log says why.`,
		Example: "  stanch serve --config.file stanch.yaml\n" +
			"  stanch serve --config.file stanch.yaml --role engine,notifier",
		Args: cobra.NoArgs,
	}
	file := command.Flags().String("config.file", config.DefaultFile, "the configuration file")
	var roles role.Roles
	roles.Flag(command.Flags())
	command.RunE = func(command *cobra.Command, _ []string) error {
		reloads := hangups()
		c, err := load(command, *file, roles...)
		if err != nil {
			return err
		}
		if !roles.All() && c.Store.NATS == nil {
			return errOneProcess
		}
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(gcPercent)
		}
		log := telemetry.NewLog(command.ErrOrStderr())
		return serve.Run(command.Context(), c, log, reloads, func(public, private net.Addr) {
			log.Info("serving", "public", addressOf(public), "private", addressOf(private), "roles", strings.Join(roles.Names(), ","))
		})
	}
	return command
}

// addressOf returns the address of a listener, or nothing when there is none.
func addressOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

var errOneProcess = errors.New("--role needs store.nats: the embedded store is in one process, which has every role")

// hangups returns a channel that receives SIGHUP, which from now on does not end the process. Several that come at once count as
// one.
func hangups() <-chan os.Signal {
	received := make(chan os.Signal, 1)
	signal.Notify(received, syscall.SIGHUP)
	return received
}
