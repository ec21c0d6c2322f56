package outbound

import (
	"net/http"
	"strconv"
	"time"
)

// maxWait bounds how long a far side can make us wait.
const maxWait = 24 * time.Hour

// RetryAfter is how long an answer asks to be left alone by its Retry-After, in seconds or until a date: between nothing and a
// day. It reports false when the header is missing or cannot be read.
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
