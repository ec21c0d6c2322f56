package main_test

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	stanch "stanch/cmd/stanch"
)

// TestMain makes "stanch" in a script this very binary, run again as the command.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stanch": stanch.Main,
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}
