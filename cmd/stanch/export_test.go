package main

import (
	"io"

	"stanch/cmd/stanch/api"
	"stanch/receiver/leak"
)

// What the external tests see of the command.
var (
	Main     = main
	Run      = run
	Adapters = adapters
)

// Timeline prints an incident as people read it.
func Timeline(w io.Writer, i leak.Incident) { timeline(w, api.Incident{Incident: i}) }
