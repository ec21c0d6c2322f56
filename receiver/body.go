package receiver

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"
)

// firstStep is how much memory a body gets before any of it is there.
const firstStep = 16 << 10

// readBody reads a body whole. A sender cannot make us set memory aside for what it only announces: the buffer grows with
// what arrived, and each step is taken from the lane first. release gives it back; it is never nil.
func readBody(w http.ResponseWriter, r *http.Request, lane *semaphore.Weighted, most int64) (data []byte, release func(), err error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(readTimeout)) // only a recorder in a test cannot
	b := &body{lane: lane, most: most + 1}
	if r.ContentLength >= 0 {
		b.most = r.ContentLength + 1
	}
	if err := b.readFrom(http.MaxBytesReader(w, r.Body, most)); err != nil {
		return nil, b.release, err
	}
	// A deadline that passes later on would count as the sender hanging up.
	_ = control.SetReadDeadline(time.Time{})
	return b.data, b.release, nil
}

// body is a body as it arrives.
type body struct {
	data []byte
	held int64 // of the lane
	lane *semaphore.Weighted
	most int64 // bytes that the body can have, and one to see its end
}

func (b *body) release() { b.lane.Release(b.held) }

func (b *body) readFrom(r io.Reader) error {
	for {
		if len(b.data) == cap(b.data) {
			if err := b.grow(); err != nil {
				return err
			}
		}
		n, err := r.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return readError(err)
		}
	}
}

// grow doubles the buffer, within the budget.
func (b *body) grow() error {
	size := min(max(firstStep, 2*int64(cap(b.data))), b.most)
	if size <= b.held {
		return errTooLarge // the transport ends a body where it was announced to end, so this is a guard only
	}
	if !b.lane.TryAcquire(size - b.held) {
		return errBusy
	}
	b.held = size
	data := make([]byte, len(b.data), size)
	copy(data, b.data)
	b.data = data
	return nil
}

func readError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errTooLarge
	}
	return fmt.Errorf("%w: %w", errUnread, err)
}
