package ibmcloud

import (
	"strings"
	"time"

	"stanch/receiver/leak"
)

// tokenLife is how long IAM's access tokens are good at most, whatever becomes of their key.
const tokenLife = 60 * time.Minute

// times are the ways in which IAM is seen to write a time; it documents the first.
var times = []string{
	"2006-01-02T15:04-0700", "2006-01-02T15:04:05-0700", time.RFC3339Nano, "2006-01-02T15:04:05.999999999-0700",
	"2006-01-02T15:04Z07:00",
}

// parseTime reads a time of IAM; zero: none that can be read.
func parseTime(s string) time.Time {
	for _, layout := range times {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	return time.Time{}
}

// setting translates action_when_leaked; empty: IAM does not say, or says something new.
func setting(s string) leak.Action {
	switch s {
	case "none":
		return leak.Nothing
	case "disable":
		return leak.Disable
	case "delete":
		return leak.Delete
	}
	return ""
}

// kind tells a service ID's key from a user's by its iam_id: only these two have API keys.
func kind(iamID string) string {
	switch {
	case iamID == "":
		return ""
	case strings.HasPrefix(bareIAMID(iamID), "ServiceId-"):
		return "service_id"
	}
	return "user"
}

// bareIAMID is an iam_id without the prefix that IBM writes in one place and leaves out in another.
func bareIAMID(s string) string { return strings.TrimPrefix(s, "iam-") }

// value is what a pointer points to, or the zero value: the SDK's "required" fields can be nil all the same.
func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
