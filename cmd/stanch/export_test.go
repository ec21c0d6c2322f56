package main

// What the external tests see of the command.
var (
	Run   = run
	Parse = parse
)
