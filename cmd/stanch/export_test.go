package main

// What the external tests see of the command.
var (
	Main     = main
	Run      = run
	Adapters = adapters
)
