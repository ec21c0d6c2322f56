package webhook

import (
	"time"

	"stanch/notify"
	"stanch/receiver/leak"
)

// event is a CloudEvent 1.0 in its JSON format.
type event struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject"` // the incident's id, or that of a group
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            data      `json:"data"`
}

// data is the notice: what people read, and the same for machines.
type data struct {
	Title     string          `json:"title"`
	Severity  leak.Severity   `json:"severity"`
	Phase     notify.Phase    `json:"phase"`
	Facts     []fact          `json:"facts"`
	Link      string          `json:"link,omitempty"`
	Incident  leak.Incident   `json:"incident"`
	Sightings []leak.Sighting `json:"sightings,omitempty"`
	Count     int             `json:"count,omitempty"` // of the incidents below
	Incidents []member        `json:"incidents,omitempty"`
}

type fact struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// member is one incident of a group.
type member struct {
	Phase    notify.Phase  `json:"phase"`
	Incident leak.Incident `json:"incident"`
}

// types are the types of events by phase.
var types = map[notify.Phase]string{
	notify.Opened: "stanch.incident.opened", notify.Taken: "stanch.incident.taken", notify.Settled: "stanch.incident.settled",
}

// groupType is the type of an event about a group of incidents.
const groupType = "stanch.incidents.gathered"

func newEvent(n notify.Notice) event {
	d := data{
		Title: n.Title, Severity: n.Severity, Phase: n.Phase, Facts: []fact{}, Link: n.Link, Incident: n.Incident,
		Sightings: n.Seen, Count: n.Count,
	}
	for _, f := range n.Facts {
		d.Facts = append(d.Facts, fact(f))
	}
	for _, m := range n.Members {
		d.Incidents = append(d.Incidents, member{m.Phase, m.Incident})
	}
	kind := types[n.Phase]
	if n.Count > 0 {
		kind = groupType
	}
	return event{
		SpecVersion: "1.0", ID: n.ID, Source: "stanch", Type: kind, Subject: string(n.Incident.ID), Time: n.At.UTC(),
		DataContentType: "application/json", Data: d,
	}
}
