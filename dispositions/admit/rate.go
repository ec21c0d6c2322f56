package admit

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Rate is how often something may happen, as vendors say it: so many times in a second, minute or hour. The zero Rate is no
// limit.
type Rate struct {
	Times float64
	Per   time.Duration // 0: a second
}

var units = map[string]time.Duration{"s": time.Second, "min": time.Minute, "h": time.Hour}

var errRate = errors.New("not a rate")

// Wanted says what a rate looks like.
func (Rate) Wanted() string { return "a rate such as 20 (a second), 600/min or 60/h" }

// UnmarshalText reads "20", which is a second's, "20/s", "600/min" or "60/h".
func (r *Rate) UnmarshalText(text []byte) error {
	times, unit, slash := strings.Cut(string(text), "/")
	per, known := units[unit]
	if !slash {
		per, known = time.Second, true
	}
	n, err := strconv.ParseFloat(times, 64)
	if err != nil || !known || !(n > 0 && n <= maxTimes) {
		return errRate
	}
	*r = Rate{Times: n, Per: per}
	return nil
}

// maxTimes is more than any issuer takes.
const maxTimes = 1e9

// String is the rate as UnmarshalText reads it.
func (r Rate) String() string {
	for unit, per := range units {
		if per == r.Per && unit != "s" {
			return strconv.FormatFloat(r.Times, 'g', -1, 64) + "/" + unit
		}
	}
	return strconv.FormatFloat(r.Times, 'g', -1, 64)
}

// limiter allows a second's worth at once, and one at least.
func (r Rate) limiter() *rate.Limiter {
	if r.Times <= 0 {
		return rate.NewLimiter(rate.Inf, 1)
	}
	per := r.Per
	if per == 0 {
		per = time.Second
	}
	perSecond := r.Times / per.Seconds()
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))
}
