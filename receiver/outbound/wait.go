package outbound

import (
	"net/http"
	"strconv"
	"time"
)

// maxWait bounds how long a far side can make us wait.
const maxWait = 24 * time.Hour

// RetryAfter is how long an answer's Retry-After asks us to wait, in seconds or until a date. It is capped at a day, and never
// negative. It reports false when the header is missing or cannot be read.
func RetryAfter(header http.Header) (wait time.Duration, asked bool) {
	text := header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(maxWait/time.Second))) * time.Second, true
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	return min(max(time.Until(at), 0), maxWait), true
}

// LimitEnd is the end of a rate limit of which no request is left, by the header fields PREFIXRemaining and PREFIXReset
// ("X-RateLimit-Reset"). It reports false while requests are left, and when the fields are missing or cannot be read.
func LimitEnd(header http.Header, prefix string) (end time.Time, over bool) {
	reset, err := strconv.ParseInt(header.Get(prefix+"Reset"), 10, 64)
	if err != nil || header.Get(prefix+"Remaining") != "0" {
		return time.Time{}, false
	}
	return time.Unix(reset, 0), true
}

// Wait is how long an answer asks to be left alone: by its Retry-After, as [RetryAfter] reads it, or else until [LimitEnd], which
// may have passed by our clock.
func Wait(header http.Header, prefix string) (wait time.Duration, asked bool) {
	if wait, asked := RetryAfter(header); asked {
		return wait, true
	}
	if end, over := LimitEnd(header, prefix); over {
		return time.Until(end), true
	}
	return 0, false
}
