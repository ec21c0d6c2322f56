package compose_test

import (
	"strings"
	"time"

	"stanch/notify/compose"
	"stanch/receiver/leak"
)

const (
	id          = leak.Fingerprint("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")
	externalURL = "https://stanch.example.com/"
)

// reader may see everything, and gets links.
var reader = compose.Audience{ExternalURL: externalURL}

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

// incident is an example that has come to a state; change says how it differs from the others.
func incident(state leak.State, change func(*leak.Incident)) leak.Incident {
	i := leak.Incident{
		ID: id, State: state, Severity: leak.Warning, Issuer: "ibm", Source: "gh-partner",
		Key: leak.Key{
			ID: "ApiKey-1c2d3e4f-0000-4000-8000-123456789abc", Name: "ci-deploy", Kind: "service_id",
			Owner: "iam-ServiceId-77", Account: "acc-1",
			CreatedAt:  time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
			LastUsedAt: time.Date(2026, 11, 21, 13, 58, 0, 0, time.UTC),
		},
		Abilities: leak.Abilities{
			Disable: true, Enable: true, Delete: true, Read: true, Prove: true, Lock: true, TokensOutlive: leak.LivesFor(time.Hour),
		},
		Action: leak.Disable, Rule: "key", Reason: "the key's own setting for a leak is disable",
		Advice: ofService,
		First:  "s1", Last: "s1", SightingCount: 1, ReceivedAt: received,
	}
	if state == leak.Contained {
		i.Key.Disabled = true
		i.ContainedAt, i.TokensLiveUntil = at, at.Add(time.Hour)
	}
	if change != nil {
		change(&i)
	}
	return i
}

func entry(i leak.Incident, steps ...leak.Step) leak.Entry {
	return leak.Entry{V: 1, ID: "entry-1", Steps: steps, Incident: i}
}

func step(name leak.StepName, text string) leak.Step {
	return leak.Step{At: at, Step: name, Text: text, By: "engine"}
}

func byAlice(name leak.StepName, text string) leak.Step {
	return leak.Step{At: at, Step: name, Text: text, By: "alice"}
}

// closed is the entry of an incident that a person ended.
func closed(reason string, change func(*leak.Incident)) leak.Entry {
	i := incident(leak.Closed, change)
	i.Severity = leak.Info
	return entry(i, byAlice(leak.Ended, "closed: "+reason))
}

// left is the entry of a key that a built-in rule leaves alone.
func left(severity leak.Severity, rule, reason string) leak.Entry {
	i := incident(leak.Left, func(i *leak.Incident) {
		i.Severity, i.Action, i.Rule, i.Reason = severity, leak.Nothing, rule, reason
	})
	return entry(i, step(leak.Decided, "nothing: "+reason), step(leak.Spared, "nothing was done: "+reason))
}

// cause is what the engine takes a failure for that has a text.
func cause(text string) leak.Cause {
	for _, err := range []error{leak.ErrLocked, leak.ErrCredential, leak.ErrAlive} {
		if strings.Contains(text, err.Error()) {
			return leak.CauseOf(err)
		}
	}
	return leak.CauseUnresolved
}

// failed is the entry of a key on which an action did not succeed.
func failed(text string, change func(*leak.Incident)) leak.Entry {
	i := incident(leak.Failed, func(i *leak.Incident) {
		i.Severity, i.Reason, i.Cause = leak.Critical, text, cause(text)
		if change != nil {
			change(i)
		}
	})
	return entry(i, step(leak.Failure, text))
}

const (
	provedDisabled = "proved: read back from the issuer, the key is disabled"
	provedGone     = "proved: asked again, the issuer has no such key any more"
	provedEnabled  = "proved: read back from the issuer, the key is enabled"
	undoReason     = "alice ordered to enable the key again: production stands still"
	stillAlive     = "a sighting that was known came again: nothing is done, because a person ended the incident, and the key works"
)

func deleted(i *leak.Incident) {
	i.Key.Disabled = false
	i.Action, i.Reason = leak.Delete, "the key's own setting for a leak is delete"
}

func undone(i *leak.Incident) {
	i.Action, i.Rule = leak.Nothing, "undo"
	i.Reason = undoReason
}

func unlocated(i *leak.Incident) {
	i.Key, i.Advice, i.Issuer, i.Action, i.Rule = leak.Key{}, leak.Advice{}, "", "", ""
}

// examples are the entries whose notices are in testdata, by the name of the file.
var examples = map[string]leak.Entry{
	"disabled": entry(incident(leak.Contained, nil), step(leak.Proved, provedDisabled)),
	"deleted":  entry(incident(leak.Contained, deleted), step(leak.Proved, provedGone)),
	"disabled_before": entry(incident(leak.Contained, nil),
		step(leak.Located, "ibm knows the key"), step(leak.Decided, "disable"),
		step(leak.Proved, "the key was disabled already when it was looked up; nothing had to be done")),
	"gone_before": entry(incident(leak.Contained, func(i *leak.Incident) { i.Key.Disabled = false }),
		step(leak.Proved, "the key is gone: the issuer knows neither its value nor its id")),
	"contained_after_failure": entry(incident(leak.Contained, func(i *leak.Incident) {
		i.ContainedAt = received.Add(3*time.Hour + 12*time.Minute)
		i.TokensLiveUntil = i.ContainedAt.Add(time.Hour)
	}), step(leak.Failure, "asking ibm to disable the key: 503 Service Unavailable"), step(leak.Proved, provedDisabled)),
	"contained_by_next_rule": entry(incident(leak.Contained, nil),
		step(leak.Warned, "rule old-keys could not be evaluated, and the next one was asked: key.last_used_at is not known"),
		step(leak.Decided, "disable"), step(leak.Proved, "the key was disabled already when it was looked up; nothing had to be done")),
	"contained_without_tokens": entry(incident(leak.Contained, func(i *leak.Incident) {
		i.Abilities.TokensOutlive, i.Key.LastUsedAt = leak.LivesFor(0), time.Time{}
		i.TokensLiveUntil = i.ContainedAt
	}), step(leak.Proved, provedDisabled)),

	"left_setting_none": left(leak.Warning, "key_none", "the key's own setting for a leak is none, for which policy.key_none says nothing"),
	"left_default":      left(leak.Warning, "default", "the key has no setting for a leak, and policy.default says nothing"),
	"left_protected":    left(leak.Critical, "protect", "the key is listed in policy.protect"),
	"left_foreign":      left(leak.Critical, "accounts", "the key belongs to an account that is not listed for its issuer"),
	"left_own":          left(leak.Critical, "own_credential", "the key is one that stanch itself runs on"),
	"left_dry_run":      left(leak.Warning, "dry_run", "dry run: without it the action would be disable, because the key's own setting for a leak is disable"),
	"left_own_rule":     left(leak.Warning, "prod-by-hand", "the rule says nothing"),
	"left_disabled": entry(incident(leak.Left, func(i *leak.Incident) {
		i.Key.Disabled, i.Action, i.Rule, i.Reason = true, leak.Nothing, "key_none", "the key's own setting for a leak is none"
	}), step(leak.Spared, "nothing was done: the key's own setting for a leak is none")),

	"held_fuse": entry(incident(leak.Held, func(i *leak.Incident) {
		i.Severity, i.Rule = leak.Critical, "fuse"
		i.Reason = "more than 50 destructive actions within 10m0s in this account; without the fuse: disable, because the key's own setting for a leak is disable"
	}), step(leak.HeldBack, "held: to disable the key needs approval")),
	"held_disable": entry(incident(leak.Held, func(i *leak.Incident) {
		i.Rule, i.Reason = "prod-by-hand", `the rule prod-by-hand says disable: key.name.startsWith("ci-")`
	}), step(leak.HeldBack, "held: to disable the key needs approval")),
	"held_delete": entry(incident(leak.Held, func(i *leak.Incident) {
		i.Action, i.Rule, i.Reason = leak.Delete, "delete-ci", `the rule delete-ci says delete: key.kind == "service_id"`
		i.Key.Disabled, i.ContainedAt, i.TokensLiveUntil = true, at, at.Add(time.Hour)
	}), step(leak.Proved, provedDisabled), step(leak.HeldBack, "held: to delete the key needs approval")),

	"rejected_disable": entry(incident(leak.Left, func(i *leak.Incident) {
		i.Action, i.Rule, i.Reason = leak.Nothing, "reject", "alice refused to disable the key: it is a drill key"
	}), byAlice(leak.Rejected, "refused to disable the key, which works: it is a drill key")),
	"rejected_delete": entry(incident(leak.Contained, func(i *leak.Incident) {
		i.Rule, i.Reason = "reject", "alice refused to delete the key: the build still needs its history"
	}), byAlice(leak.Rejected, "refused to delete the key, which stays disabled: the build still needs its history")),
	"looked": entry(incident(leak.Contained, func(i *leak.Incident) { i.Severity = leak.Critical }), step(leak.Looked,
		"a second look: the key is still dead; it was signed in with 3 times between its lookup and its death, the last time at "+
			"2026-11-21 14:03:03 UTC; its owner made since it was seen: API key ApiKey-7 \"backup\" at 2026-11-21 14:03:00 UTC")),
	"looked_enabled": entry(incident(leak.Held, func(i *leak.Incident) {
		i.Severity, i.Key.Disabled, i.ContainedAt, i.TokensLiveUntil = leak.Critical, false, time.Time{}, time.Time{}
		i.Action, i.Rule, i.Reason = leak.Disable, "enabled", "somebody enabled the key at its issuer since it was disabled"
	}), step(leak.Looked, "a second look: the key works again; somebody enabled it at its issuer"),
		step(leak.HeldBack, "held: to disable the key again needs approval")),
	"undone": entry(incident(leak.Closed, undone), step(leak.Undone, provedEnabled)),
	"undo_failed": failed("asking ibm to enable the key: 500 Internal Server Error", func(i *leak.Incident) {
		i.Intended, i.Key.Disabled, i.ContainedAt, i.TokensLiveUntil = leak.Enable, true, at, at.Add(time.Hour)
		i.Rule, i.Reason = "undo", undoReason
	}),
	"closed_working": closed("it is a sample from our handbook", nil),
	"closed_disabled": closed("rotated", func(i *leak.Incident) {
		i.Key.Disabled, i.ContainedAt = true, at
	}),
	"closed_gone":    closed("rotated", func(i *leak.Incident) { i.ContainedAt = at }),
	"closed_unknown": closed("it is of another company", unlocated),
	"alive_undone": entry(incident(leak.Closed, func(i *leak.Incident) {
		undone(i)
		i.Severity, i.Told = leak.Critical, true
	}), step(leak.Alive, stillAlive)),
	"alive_closed": entry(incident(leak.Closed, func(i *leak.Incident) { i.Severity, i.Told = leak.Critical, true }),
		step(leak.Alive, stillAlive)),

	"failed_locked": failed(leak.ErrLocked.Error()+", and policy does not allow stanch to unlock it",
		func(i *leak.Incident) { i.Key.Locked = true }),
	"failed_credential": failed("asking ibm: "+leak.ErrCredential.Error(), unlocated),
	"failed_unreachable": failed("reading the key back from ibm: connection refused",
		func(i *leak.Incident) { i.Intended = leak.Disable }),
	"failed_delete_disabled": failed("asking ibm to delete the key: 500 Internal Server Error",
		func(i *leak.Incident) { i.Action, i.Intended, i.Key.Disabled = leak.Delete, leak.Delete, true }),

	"unknown": entry(incident(leak.Unknown, func(i *leak.Incident) {
		unlocated(i)
		i.Severity, i.Action, i.Reason = leak.Info, leak.Nothing, leak.ErrNotFound.Error()
	}), step(leak.NotKnown, leak.ErrNotFound.Error()+"; it is looked up again for a day")),

	"approved": entry(incident(leak.Open, func(i *leak.Incident) { i.Intended = leak.Disable }),
		byAlice(leak.Approved, "approved to disable the key: go on")),
	"undo_asked": entry(incident(leak.Open, undone), byAlice(leak.UndoAsked, "to enable the key again: production stands still")),
	"retried":    entry(incident(leak.Open, nil), byAlice(leak.Retried, "to be tried again: the issuer is back")),

	"cluster_pull_disabled": entry(incident(leak.Contained, ofCluster), step(leak.Proved, provedDisabled)),
	"cluster_pull_deleted": entry(incident(leak.Contained, func(i *leak.Incident) {
		ofCluster(i)
		deleted(i)
	}), step(leak.Proved, provedGone)),
	"cluster_region": entry(incident(leak.Contained, func(i *leak.Incident) {
		i.Key.Name, i.Key.Kind, i.Key.Owner = "containers-kubernetes-key", "user", "IBMid-110000AB1Z"
		i.Advice = ofRegion
	}), step(leak.Proved, provedDisabled)),
	"credential_disabled": entry(incident(leak.Contained, ofCredential), step(leak.Proved, provedDisabled)),
	"credential_left": entry(incident(leak.Left, func(i *leak.Incident) {
		ofCredential(i)
		i.Action, i.Rule, i.Reason = leak.Nothing, "key_none", "the key's own setting for a leak is none"
	}), step(leak.Spared, "nothing was done: the key's own setting for a leak is none")),
	"expired_left": entry(incident(leak.Left, func(i *leak.Incident) {
		i.Action, i.Rule, i.Reason, i.Key.ExpiresAt = leak.Nothing, "key_none", "the key's own setting for a leak is none", received.Add(-time.Hour)
	}), step(leak.Spared, "nothing was done: the key's own setting for a leak is none")),
	"expired": entry(incident(leak.Contained, func(i *leak.Incident) {
		i.Key.Disabled, i.Key.ExpiresAt = false, received.Add(-time.Hour)
	}), step(leak.Proved, "proved: the key has expired, and the leaked value is refused")),
	"by_hand": entry(incident(leak.Left, func(i *leak.Incident) {
		i.Severity, i.Action, i.Rule, i.Key = leak.Critical, leak.Nothing, "by_hand", leak.Key{Kind: "classic infrastructure key"}
		i.Advice = leak.Advice{}
		i.Reason = byHandReason
	}), step(leak.Decided, "nothing: "+byHandReason), step(leak.Spared, "nothing was done: "+byHandReason)),
	"failed_alive": failed("ibm said that the key is dead: trying the leaked value: the leaked value still works", func(i *leak.Incident) {
		i.Key.Disabled, i.Intended = true, leak.Disable
	}),

	"revoked": entry(incident(leak.Contained, func(i *leak.Incident) {
		byValue(i)
		i.Key.Gone, i.TokensLiveUntil = true, time.Time{}
		i.Proof = &leak.Proof{Kind: leak.RefusedByUse, Code: "bad_credentials", At: at}
	}), step(leak.Proved, "proved: the leaked value is refused with bad_credentials")),
	"accepted": entry(incident(leak.Accepted, func(i *leak.Incident) {
		byValue(i)
		i.Proof = &leak.Proof{Kind: leak.AcceptedOnly, At: at}
	}), step(leak.Unproved, "github accepted the request to delete the key, and offers no way to find out whether it is dead")),
	"accepted_tokens": entry(incident(leak.Accepted, func(i *leak.Incident) {
		byValue(i)
		i.Abilities.TokensOutlive, i.Proof = leak.LivesFor(8*time.Hour), &leak.Proof{Kind: leak.AcceptedOnly, At: at}
	}), step(leak.Unproved, "github accepted the request to delete the key, and offers no way to find out whether it is dead")),
	"held_by_value": entry(incident(leak.Held, func(i *leak.Incident) {
		byValue(i)
		i.Severity, i.Rule, i.Reason = leak.Critical, "default", "github cannot disable a key, as policy.default says; it can delete it"
	}), step(leak.HeldBack, "held: to delete the key needs approval")),
	"left_by_value": entry(incident(leak.Left, func(i *leak.Incident) {
		byValue(i)
		i.Action, i.Rule, i.Reason = leak.Nothing, "default", "the key has no setting for a leak, and policy.default says nothing"
	}), step(leak.Spared, "nothing was done: the key has no setting for a leak, and policy.default says nothing")),
	"failed_by_value": failed("asking github to delete the key: 500 Internal Server Error", func(i *leak.Incident) {
		byValue(i)
		i.Intended = leak.Delete
	}),
	"closed_by_value": closed("it is a sample", func(i *leak.Incident) { byValue(i) }),
	"not_ours": entry(incident(leak.Unknown, func(i *leak.Incident) {
		unlocated(i)
		i.Severity, i.Action, i.Rule = leak.Critical, leak.Nothing, leak.RuleNotOurs
		i.Reason = leak.ErrNotVisible.Error() + "; tried as its finder would, the value works: the key is not ours to disable"
	}), step(leak.NotKnown, leak.ErrNotVisible.Error()+"; tried as its finder would, the value works: the key is not ours to disable; "+
		"it is looked up again for a day")),
	"disabled_for_good": entry(incident(leak.Contained, func(i *leak.Incident) { i.Abilities.Enable = false }), step(leak.Proved, provedDisabled)),
	"user_key": entry(incident(leak.Contained, func(i *leak.Incident) {
		i.Key.Name, i.Key.Kind, i.Key.Owner = "laptop", "user", "IBMid-110000AB1Z"
		i.Advice.Replace = "Only its owner can make the next one: `ibmcloud iam api-key-create laptop-next --action-if-leaked DISABLE " +
			"--file key.json`. " + putAway
	}), step(leak.Proved, provedDisabled)),
}

const byHandReason = "it is a classic infrastructure key, which no call looks up or revokes: only a person can; in the console, delete it"

// byValue makes the key one of an issuer that names it by its value only, and can only delete it.
func byValue(i *leak.Incident) {
	i.Issuer, i.Action, i.Advice = "github", leak.Delete, leak.Advice{}
	i.Key = leak.Key{Kind: "personal_access_token", Owner: "octo"}
	i.Abilities = leak.Abilities{Delete: true, Prove: true, ByValue: true}
}

// ofCredential makes the key one of a service credential, with its use so far.
func ofCredential(i *leak.Incident) {
	i.Key.Name = "auto-generated-apikey-0b1c2d3e-0000-4000-8000-123456789abc"
	i.Key.Used = leak.Activity{Known: true, LastAt: i.Key.LastUsedAt, Count: 12}
	i.Advice = ofServiceCredential
}

// ofCluster makes the key one with which a cluster pulls its images, as the name of its service ID says.
func ofCluster(i *leak.Incident) {
	i.Key.Name, i.Key.OwnerName = "API key for the registry", "cluster-ck0a5faw0bm3lnln95lg"
	i.Advice = ofPullSecret
}
