package pagerduty

import (
	"time"

	"stanch/notify"
	"stanch/notify/channel"
	"stanch/receiver/leak"
)

// What PagerDuty takes: it cuts a longer summary, and refuses a larger event.
const (
	maxSummary = 1024      // characters
	maxDetails = 64 * 1024 // characters of all facts; encoded they stay under the 512 KB of an event, whatever they are
)

// event is a request of the Events API v2, with PagerDuty's names.
type event struct {
	RoutingKey string   `json:"routing_key"`
	Action     string   `json:"event_action"`
	DedupKey   string   `json:"dedup_key"`
	Client     string   `json:"client,omitempty"`
	ClientURL  string   `json:"client_url,omitempty"`
	Links      []link   `json:"links,omitempty"`
	Payload    *payload `json:"payload,omitempty"` // of a trigger
}

type link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

type payload struct {
	Summary   string        `json:"summary"`
	Timestamp string        `json:"timestamp"`
	Severity  leak.Severity `json:"severity"` // PagerDuty has a word for each of ours
	Source    string        `json:"source"`   // what is affected
	Component string        `json:"component,omitempty"`
	Group     string        `json:"group,omitempty"`
	Class     string        `json:"class,omitempty"`
	// Details are shown as a table of plain text, in which nothing is markup; only a text that is a URL becomes a link.
	Details map[string]string `json:"custom_details"`
}

// newEvent makes the event of a notice, without the routing key.
func newEvent(n notify.Notice, action string) event {
	e := event{Action: action, DedupKey: string(n.Incident.ID)}
	if action != trigger {
		return e
	}
	e.Client, e.ClientURL = "stanch", n.Link
	if n.Link != "" {
		e.Links = []link{{Href: n.Link, Text: "The incident in stanch"}}
	}
	e.Payload = newPayload(n)
	return e
}

func newPayload(n notify.Notice) *payload {
	details := map[string]string{}
	for _, fact := range channel.Fit(n.Facts, maxDetails) {
		if earlier := details[fact.Name]; earlier != "" {
			fact.Text = earlier + "\n" + fact.Text
		}
		details[fact.Name] = fact.Text
	}
	return &payload{
		Summary: channel.Cut(n.Title, maxSummary), Timestamp: n.At.UTC().Format(time.RFC3339), Severity: severity(n.Severity),
		Source: source(n.Incident), Component: n.Incident.Issuer, Group: n.Incident.Key.Account,
		Class: string(n.Incident.State), Details: details,
	}
}

func severity(s leak.Severity) leak.Severity {
	if ranks[s] == 0 || s == "" {
		return leak.Warning
	}
	return s
}

// source is the affected thing: the key as its issuer calls it, or else the incident.
func source(i leak.Incident) string {
	if i.Key.ID != "" {
		return channel.Cut(i.Key.ID, maxSummary)
	}
	return "stanch incident " + i.ID.Short()
}
