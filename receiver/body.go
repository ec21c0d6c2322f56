package receiver

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"
)

// firstStep is how much memory a body gets, in bytes, before any of it has arrived.
const firstStep = 16 << 10

// readBody reads a whole body of at most so many bytes. A sender cannot make us reserve memory for what it only announces:
// the buffer grows with what has arrived, and each step is first taken from the budget. release gives it back and is never
// nil.
func readBody(w http.ResponseWriter, r *http.Request, budget *semaphore.Weighted, most int64) (data []byte, release func(), err error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(readTimeout)) // only a recorder in a test has no deadline
	b := &body{budget: budget, most: most + 1}
	if r.ContentLength >= 0 {
		b.most = r.ContentLength + 1
	}
	if err := b.readFrom(http.MaxBytesReader(w, r.Body, most)); err != nil {
		return nil, b.release, err
	}
	// A deadline that passes later would look as if the sender had hung up.
	_ = control.SetReadDeadline(time.Time{})
	return b.data, b.release, nil
}

// body is a body as it arrives.
type body struct {
	data   []byte
	held   int64 // of the budget
	budget *semaphore.Weighted
	most   int64 // bytes that the body can have, and one more to see its end
}

func (b *body) release() { b.budget.Release(b.held) }

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
		return errTooLarge // only a guard: the transport ends a body at its announced length
	}
	if !b.budget.TryAcquire(size - b.held) {
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
