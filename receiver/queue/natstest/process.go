package natstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/nats-io/nats-server/v2/server"
)

// nodeVariable holds the settings of the node, in the environment of a process that is one.
const nodeVariable = "STANCH_TEST_NATS_NODE"

// Main must be called first in TestMain of a package whose tests start nodes with [Options].Processes: the test binary is
// started again as a node, and then Main does not return.
func Main() {
	text, ok := os.LookupEnv(nodeVariable)
	if !ok {
		return
	}
	var n Node
	if err := json.Unmarshal([]byte(text), &n); err != nil {
		fmt.Fprintln(os.Stderr, "reading the settings of a node:", err)
		os.Exit(2)
	}
	s, err := server.NewServer(n.Options())
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a node:", err)
		os.Exit(2)
	}
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1)) // it ends when the process that started us does
		os.Exit(0)
	}()
	s.Start()
	s.WaitForShutdown()
	os.Exit(0)
}

// process is a node in its own process.
type process struct {
	command *exec.Cmd
	life    *os.File // its standard input; it ends when this is closed
}

func startProcess(n Node) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	command := exec.Command(self)
	command.Env = append(os.Environ(), nodeVariable+"="+string(text))
	command.Stdin, command.Stderr = read, os.Stderr
	err = errors.Join(command.Start(), read.Close())
	return &process{command, write}, err
}

// kill ends it as kill -9 does.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
	_ = p.life.Close()
}
