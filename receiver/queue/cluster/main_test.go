package cluster_test

import (
	"testing"

	"stanch/receiver/queue/natstest"
)

func TestMain(m *testing.M) {
	natstest.Main()
	m.Run()
}
