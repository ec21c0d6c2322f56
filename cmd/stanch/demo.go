package main

import (
	"github.com/spf13/cobra"

	"stanch/cmd/stanch/demo"
)

func newDemo() *cobra.Command {
	command := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole pipeline, with no account anywhere",
		Long: `Demo runs the service as 'stanch serve' does, against a fake IBM Cloud IAM, a fake GitHub and a fake GitLab in the same
process, posts signed deliveries of leaked sample keys, and prints what becomes of each. It ends by itself, with exit code 0 only
if every sample key ended as its policy says. With --keep it stays up until it is interrupted.`,
		Example: "  stanch demo\n  stanch demo --keep",
		Args:    cobra.NoArgs,
	}
	keep := command.Flags().Bool("keep", false, "stay up, so that the commands can be tried")
	command.RunE = func(command *cobra.Command, _ []string) error {
		return demo.Run(command.Context(), command.OutOrStdout(), adapters, *keep)
	}
	return command
}
