package deliver_test

import (
	"time"

	"stanch/receiver/leak"
)

const (
	id             = leak.Fingerprint("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")
	externalURL    = "https://stanch.example.com/"
	provedDisabled = "proved: read back from the issuer, the key is disabled"
)

// received is when the alert of every example was received, and at when its step was taken.
var (
	received = time.Date(2026, 11, 21, 14, 3, 1, 0, time.UTC)
	at       = time.Date(2026, 11, 21, 14, 3, 5, 0, time.UTC)
)

// sightings are one, as most keys have.
var sightings = []leak.Sighting{{
	Source: "gh-partner", Type: "ibm_cloud_iam_key", Place: "commit", SeenAt: received,
	URL: "https://github.com/octo/app/blob/0dbe1c2/deploy.sh",
}}

// incident is an example that has come to a state.
func incident(state leak.State) leak.Incident {
	return leak.Incident{
		ID: id, State: state, Severity: leak.Warning, Issuer: "ibm", Source: "gh-partner",
		Key: leak.Key{
			ID: "ApiKey-1c2d3e4f-0000-4000-8000-123456789abc", Name: "ci-deploy", Kind: "service_id",
			Owner: "iam-ServiceId-77", Account: "acc-1", Disabled: state == leak.Contained,
		},
		Action: leak.Disable, Rule: "key", Reason: "the key's own setting for a leak is disable",
		SightingCount: 1, ReceivedAt: received,
	}
}

func entry(i leak.Incident, step leak.StepName, text string) leak.Entry {
	return leak.Entry{V: 1, ID: "entry-1", Steps: []leak.Step{{At: at, Step: step, Text: text, By: "engine"}}, Incident: i}
}
