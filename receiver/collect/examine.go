package collect

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/leak"
)

const (
	// expirySoon is how long before our own token expires somebody should replace it.
	expirySoon = 14 * 24 * time.Hour
	// fewLeft: when less than one in so many requests is left, somebody should look.
	fewLeft = 10
)

// ExamineExpiry reports when the token expires that we use at a source, which who names; the zero time: the source does not say.
func ExamineExpiry(found *leak.Findings, who string, at time.Time) {
	const check = "expiry of our token"
	switch {
	case at.IsZero():
		found.Good(check, "%s names none", who)
	case time.Until(at) < expirySoon:
		found.Doubt(check, "it expires on %s: put another into its file, which is read again", at.UTC().Format(time.DateOnly))
	default:
		found.Good(check, "it expires on %s", at.UTC().Format(time.DateOnly))
	}
}

// ExamineRate reports how much is left of a source's rate limit, which is for each hour or minute (per), by the header fields
// PREFIXLimit and PREFIXRemaining of an answer.
func ExamineRate(found *leak.Findings, header http.Header, prefix, per string) {
	const check = "rate limit"
	limit, err := strconv.Atoi(strings.TrimSpace(header.Get(prefix + "Limit")))
	left, errLeft := strconv.Atoi(header.Get(prefix + "Remaining"))
	switch {
	case err != nil || errLeft != nil:
		found.Good(check, "the server names none")
	case left*fewLeft < limit:
		found.Doubt(check, "%d of %d requests are left in this %s", left, limit, per)
	default:
		found.Good(check, "%d of %d requests are left in this %s", left, limit, per)
	}
}

// ExamineDeliveries reports how many of the last deliveries of a hook failed; hook names it, and try says how to cause one.
func ExamineDeliveries(found *leak.Findings, hook string, failed, of int, try string) {
	const check = "deliveries"
	switch {
	case of == 0:
		found.Doubt(check, "%s has delivered nothing in the last days: %s", hook, try)
	case failed == of:
		found.Broken(check, "the last %d of %s all failed", failed, hook)
	case failed > 0:
		found.Doubt(check, "%d of the last %d of %s failed; the sweep asks for them again", failed, of, hook)
	default:
		found.Good(check, "the last %d of %s all arrived", of, hook)
	}
}
