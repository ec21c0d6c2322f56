// Package channel is what the notifiers of many channels have in common: what an answer means, how texts are cut to a channel's
// limits, and what is remembered of an incident. No error of this package holds a URL, an address, a credential, or anything
// that a channel answered.
package channel

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"stanch/notify"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// Status is the error of a channel that was reached and did not answer success: the HTTP status.
type Status int

// Error is the number and, where there is one, the registered name; nothing that the channel chose.
func (s Status) Error() string {
	return fmt.Sprintf("the channel answered %d %s", int(s), http.StatusText(int(s)))
}

// Do sends a request and reads the answer to its end. Any 2xx is success; where statuses are given, only those are, because
// whatever stands between us and a channel may answer 200. The error is *leak.Throttled for an answer that asks to wait,
// *notify.Refused for a 4xx that a retry alone cannot help, [Status] for any other answer, and what [outbound.Cause] makes of
// everything else.
func Do(client *http.Client, r *http.Request, success ...int) error {
	r.Header.Set("User-Agent", "stanch")
	response, err := client.Do(r)
	if err != nil {
		return outbound.Cause(r.Context(), err)
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body) // so that the connection can be used again
	code := response.StatusCode
	if code/100 != 2 || len(success) > 0 && !slices.Contains(success, code) {
		return Answered(code, response.Header)
	}
	if err != nil {
		return outbound.Cause(r.Context(), err)
	}
	return nil
}

// Answered is the error of an answer whose status is no success, as [Do] returns it.
func Answered(code int, header http.Header) error {
	wait, asked := outbound.RetryAfter(header)
	switch {
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable && asked:
		return &leak.Throttled{After: wait, Err: Status(code)}
	case code/100 == 4 && code != http.StatusRequestTimeout && code != http.StatusTooEarly:
		return &notify.Refused{Err: Status(code)}
	}
	return Status(code)
}

// Failed is the error of several deliveries that have failed: the first one that a retry can help, or else all of them,
// which is *notify.Refused. It is nil when there is none.
func Failed(errs ...error) error {
	for _, err := range errs {
		if _, refused := errors.AsType[*notify.Refused](err); !refused {
			return err
		}
	}
	return errors.Join(errs...)
}

// Opening is the error of a notifier that cannot be opened: everything that check finds, or nil. The configuration was
// checked before, so this finds only what has changed since.
func Opening(name string, check func(fault func(field, problem string))) error {
	var faults []error
	check(func(field, problem string) { faults = append(faults, fmt.Errorf("%s %s", field, problem)) })
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("opening notifier %s: %w", name, err)
	}
	return nil
}
