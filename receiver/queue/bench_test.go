package queue_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"stanch/receiver/queue"
)

// BenchmarkAppend stores messages of 1 KiB, each with a flush of the disk, beside the twin in memory.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("embedded/%d", writers), func(b *testing.B) {
			benchmarkAppend(b, open(b, queue.Config{}), writers)
		})
		b.Run(fmt.Sprintf("memory/%d", writers), func(b *testing.B) {
			benchmarkAppend(b, queue.NewMemory(), writers)
		})
	}
}

func benchmarkAppend(b *testing.B, s queue.Store, writers int) {
	data := make([]byte, 1<<10)
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	var sent atomic.Int64
	for w := range writers {
		all.Go(func() {
			for sent.Add(1) <= int64(b.N) {
				if err := s.Append(b.Context(), queue.Message{Subject: fmt.Sprint("alerts.", w), Data: data}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
