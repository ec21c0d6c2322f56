package dispositions_test

import (
	"net/http"
	"regexp"
	"time"

	"stanch/dispositions"
	"stanch/dispositions/ibmfake"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
)

var (
	anyAction = []string{"none", "disable", "delete"}
	effective = []string{"disable", "delete"}
	disabling = []string{"disable"}
)

// failing are effect calls that answer so, until the faults are cleared.
func failing(fault ibmfake.Fault) func(o *odd) {
	return func(o *odd) {
		fault.Times = ibmfake.Forever
		for method, path := range map[string]string{http.MethodPost: "/v1/apikeys/*/disable", http.MethodDelete: "/v1/apikeys/*"} {
			fault.Method, fault.Path = method, path
			o.AddFault(fault)
		}
	}
}

// answering is an IAM that answers everything so, until the faults are cleared.
func answering(fault ibmfake.Fault) func(o *odd) {
	return func(o *odd) {
		fault.Times = ibmfake.Forever
		o.AddFault(fault)
	}
}

func retryAfter(wish string) ibmfake.Fault {
	return ibmfake.Fault{Status: 429, Header: map[string]string{"Retry-After": wish}}
}

func unlocking(o *odd) { o.policy.Unlock = true }

// both does one thing after the other.
func both(first, second func(o *odd)) func(o *odd) {
	return func(o *odd) { first(o); second(o) }
}

// asking makes policy ask a person.
func asking(o *odd) {
	o.policy.Rules = []policy.Rule{
		{Name: "ask", When: `key.setting == "delete"`, Action: leak.Delete, Approval: true},
		{Name: "ask-disable", When: `key.setting == "disable"`, Action: leak.Disable, Approval: true},
	}
}

// ordering lets a person order something, and an hour pass.
func ordering(verb dispositions.Verb) func(o *odd) {
	return func(o *odd) {
		order := dispositions.Order{Verb: verb, By: "alice", Reason: "because"}
		if _, err := o.engine.Order(o.t.Context(), o.incident, order); err != nil {
			o.t.Errorf("ordering to %s: %v", verb, err)
		}
		time.Sleep(time.Hour)
	}
}

// knownBefore lets the key be contained by an earlier sighting.
func knownBefore(o *odd) {
	stop := o.world.engine(o.store, o.issuer)
	o.leak("before")
	time.Sleep(time.Minute)
	stop()
}

var oddRows = []oddRow{
	{state: "alive", actions: anyAction},
	{state: "alive, approval asked", actions: effective, before: asking, says: []string{"waits for a person"}},
	{state: "alive, approval asked and given", actions: effective, before: asking, after: ordering(dispositions.Approve)},
	{state: "alive, approval asked and refused", actions: effective, before: asking, after: ordering(dispositions.Reject)},
	{state: "alive, undone by a person", actions: disabling, after: ordering(dispositions.Undo)},

	{state: "locked, unlock not allowed", actions: anyAction, key: ibmfake.Key{Locked: true}},
	{state: "locked, then unlocked by its owner", actions: effective, key: ibmfake.Key{Locked: true}, after: func(o *odd) {
		o.Act("unlock", o.keyID)
		time.Sleep(10 * time.Minute)
	}},
	{state: "locked, unlock allowed", actions: anyAction, key: ibmfake.Key{Locked: true}, before: unlocking},
	{
		state: "locked, unlock allowed, the action fails", actions: effective, key: ibmfake.Key{Locked: true},
		before: both(unlocking, failing(ibmfake.Fault{Status: 500})), says: []string{"it is locked again, as read back"},
	},
	{
		state: "locked, unlock allowed, action and lock fail", actions: disabling, key: ibmfake.Key{Locked: true},
		before: both(unlocking, both(failing(ibmfake.Fault{Status: 500}), answeringLock)),
		says:   []string{"it could not be locked again"},
	},

	{state: "disabled already", actions: anyAction, key: ibmfake.Key{Disabled: true}},
	{
		state: "disabled already, the value still works", actions: disabling, key: ibmfake.Key{Disabled: true}, after: forAnHour,
		before: tokens(200, `{"access_token":"eyJ","expires_in":3600}`), says: []string{"the leaked value still works"}, // and nothing is said to be contained before it is refused
	},
	{
		state: "disabled already, the value still works", actions: []string{"none"}, key: ibmfake.Key{Disabled: true},
		before: tokens(200, `{"access_token":"eyJ","expires_in":3600}`),
	},
	{state: "hidden by its id, and refused as disabled", actions: disabling, before: hiddenByID},
	{state: "hidden by its id, tried again when the value is wiped", actions: []string{"none"}, before: hiddenByID, after: ordering(dispositions.Retry)},
	{state: "contained, enabled, hidden by its value, seen again", actions: disabling, after: func(o *odd) {
		o.Act("enable", o.keyID)
		o.AddFault(unknownByValue)
		o.leak("later")
		time.Sleep(time.Minute)
	}},
	{state: "contained, enabled, hidden altogether, seen again", actions: disabling, after: func(o *odd) {
		o.Act("enable", o.keyID)
		o.AddFault(unknownByValue)
		hiddenByID(o)
		o.leak("later")
		time.Sleep(time.Minute)
	}},
	{state: "held disabled, enabled by somebody, and refused", actions: []string{"delete"}, before: asking, after: both(func(o *odd) {
		o.Act("enable", o.keyID)
	}, ordering(dispositions.Reject))},
	{state: "gone, never known", actions: disabling, before: func(o *odd) { o.Act("delete", o.keyID) }},
	{state: "gone, known before", actions: disabling, before: both(knownBefore, func(o *odd) { o.Act("delete", o.keyID) }), after: func(o *odd) {
		o.leak("later")
		time.Sleep(time.Minute)
	}},
	{state: "expired", actions: anyAction, key: ibmfake.Key{ExpiresAt: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)}},
	{
		state: "expired, changes are refused", actions: effective, key: ibmfake.Key{ExpiresAt: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)},
		before: failing(ibmfake.Fault{Status: 409}), says: []string{"expired"},
	},

	{state: "unknown for a day", actions: disabling, before: stranger, after: func(*odd) { time.Sleep(25 * time.Hour) }, says: []string{"its sealed secret is wiped"}},
	{state: "unknown, known an hour later", actions: anyAction, before: stranger, after: func(o *odd) {
		time.Sleep(30 * time.Minute)
		o.keyID, _ = o.AddKey(ibmfake.Key{Name: "leaked", Setting: o.setting, Value: o.secret})
		time.Sleep(time.Hour)
	}},
	{state: "unknown, answered 400", actions: disabling, fake: ibmfake.Switches{Unknown: 400}, before: stranger},
	{state: "type swapped by the source", actions: disabling, before: swapped},

	{
		state: "classic infrastructure key, by its type", actions: disabling, before: byType("ibm_softlayer_api_key", classicValue),
		says: []string{"Manage, Access (IAM), Users", "Revoke it by hand"},
	},
	{state: "classic infrastructure key, by its form", actions: disabling, before: byType("", classicValue), says: []string{"Revoke it by hand"}},
	{
		state: "COS HMAC pair, by its type", actions: disabling, before: byType("ibm_cos_hmac_credentials", hmacValue),
		says: []string{"cos_hmac_keys", "Revoke it by hand"},
	},
	{state: "COS HMAC pair, by its form", actions: disabling, before: byType("ibm_secret", hmacValue), says: []string{"Revoke it by hand"}},
	{state: "that form, of another vendor's type", actions: disabling, before: byType("acme_token", classicValue)},
	{state: "IAM key with the form of a classic one", actions: disabling, key: ibmfake.Key{Value: leak.NewSecret(classicValue)}},
	{
		state: "of a service credential", actions: anyAction, before: ofCredential(false),
		says: []string{"The key was made for the service credential"},
	},
	{state: "of a service credential, no controller", actions: effective, withoutController: true, before: ofCredential(false), says: []string{"service-key-delete"}},
	{state: "of a service credential not shown to us", actions: effective, before: ofCredential(true), says: []string{"service-key-delete"}},
	{
		state: "of a service credential, controller down", actions: effective, before: both(ofCredential(false), answering(ibmfake.Fault{
			Path: "/v2/resource_keys/*", Status: 500,
		})), after: forAnHour,
	},
	{state: "named like another's service credential", actions: effective, before: forgedCredential, after: func(o *odd) {
		if !o.Credential(o.guid) {
			o.t.Error("another's service credential is deleted")
		}
	}},

	{state: "of a foreign account", actions: effective, before: func(o *odd) { o.accounts = []string{"ours"} }},
	{state: "our own credential", actions: effective, before: func(o *odd) { o.secret = o.own }},
	{state: "our own credential is dead for a day", actions: effective, before: func(o *odd) {
		o.Act("delete", o.ownID)
		o.RevokeTokens()
	}, after: func(o *odd) {
		time.Sleep(24 * time.Hour)
		o.AddKey(ibmfake.Key{ID: o.ownID, IAMID: o.ownIAM, Value: o.own, Administrator: true})
		time.Sleep(10 * time.Minute)
	}},

	{state: "IAM down for a day", actions: effective, before: answering(ibmfake.Fault{Status: 503}), after: forADay},
	{state: "IAM cuts every connection", actions: disabling, before: answering(ibmfake.Fault{Cut: true}), after: forAnHour},
	{state: "429, Retry-After 30", actions: disabling, before: answering(retryAfter("30")), after: forAnHour},
	{state: "429, Retry-After a thousand days", actions: disabling, before: answering(retryAfter("86400000")), after: forAnHour},
	{state: "429, Retry-After negative", actions: disabling, before: answering(retryAfter("-5")), after: forAnHour},
	{state: "429, Retry-After a date in 2100", actions: disabling, before: answering(retryAfter("Fri, 01 Jan 2100 00:00:00 GMT")), after: forAnHour},
	{state: "429, Retry-After garbage", actions: disabling, before: answering(retryAfter("soon")), after: forAnHour},
	{state: "500 after the deed", actions: effective, before: failing(ibmfake.Fault{Status: 500, Commit: true})},
	{state: "cut after the deed", actions: effective, before: failing(ibmfake.Fault{Cut: true, Commit: true})},
	{state: "lying 204", actions: effective, before: failing(ibmfake.Fault{Status: 204}), after: forAnHour},
	{state: "redirect", actions: disabling, before: answering(ibmfake.Fault{
		Status: 307, Header: map[string]string{"Location": "http://elsewhere.example/"},
	}), after: forAnHour},
	{state: "502 with an HTML page", actions: disabling, before: answering(ibmfake.Fault{
		Status: 502, ContentType: "text/html", Body: "<html>planted</html>",
	}), after: forAnHour},
	{state: "200 with an HTML page", actions: disabling, before: answering(ibmfake.Fault{
		Status: 200, ContentType: "text/html", Body: "<html>planted</html>",
	}), after: forAnHour},
	{state: "503 without a body", actions: disabling, before: answering(ibmfake.Fault{Status: 503}), after: forAnHour},
	{state: "the value refused with an undocumented 400", actions: effective, before: tokens(
		400, `{"errorCode":"BXNIM0400E","errorMessage":"External authentication failed."}`), after: forAnHour},

	{state: "the value refused with BXNIM0410E: user not active", actions: effective, before: tokens(
		400, `{"errorCode":"BXNIM0410E"}`), after: forAnHour, says: []string{"BXNIM0410E"}},
	{state: "the value refused with BXNIM0436E and 401", actions: effective, before: tokens(
		401, `{"errorCode":"BXNIM0436E"}`), after: forAnHour, says: []string{"BXNIM0436E"}},
	{state: "the value refused as gone with 401", actions: effective, before: tokens(401, `{"errorCode":"BXNIM0415E"}`)},
	{state: "the value refused as disabled with 403", actions: effective, before: tokens(403, `{"errorCode":"BXNIM0462E"}`), after: forAnHour},
	{state: "the value refused as dead, with a token", actions: disabling, before: tokens(
		400, `{"errorCode":"BXNIM0462E","access_token":"eyJ"}`), after: forAnHour},
	{state: "the value refused with a code and 404", actions: disabling, before: tokens(
		404, `{"errorCode":"BXNIM0462E"}`), after: forAnHour},
	{state: "the value refused in an HTML page", actions: disabling, before: tokens(
		401, `<html>BXNIM0462E</html>`), after: forAnHour},
	{
		state: "not shown to us, and the value works", actions: disabling, before: notShown,
		says: []string{"a key that we may not see", "the value works", "not ours to disable"},
	},
	{state: "not shown to us, and the value is refused", actions: disabling, before: both(notShown, deadValue), says: []string{"BXNIM0462E"}},
	{
		state: "not shown to us for half an hour", actions: disabling, before: notShown, after: shownLater,
	},
	{
		state: "unknown to the lookup, and the value works", actions: disabling, before: answering(ibmfake.Fault{
			Path: "/v1/apikeys/details", Skip: 1, Status: 404, ContentType: "application/json",
			Body: `{"errors":[{"code":"not_found","message_code":"BXNIM0102E"}]}`,
		}), says: []string{"the value works"},
	},

	{state: "enabled again by somebody", actions: disabling, after: enabledAgain, says: []string{"somebody enabled it at its issuer"}},
	{state: "enabled again, and leaked again", actions: disabling, after: both(enabledAgain, func(o *odd) {
		o.leak("again")
		time.Sleep(time.Minute)
	})},
	{
		state: "used to make others before it died", actions: effective, before: abused, after: func(*odd) { time.Sleep(2 * time.Hour) },
		says: []string{`API key ApiKey-`, `"backdoor"`, `service ID ServiceId-`, `"backdoor-id"`},
	},
}

// tokens lets the token endpoint answer the leaked value so: we have a token of our own by then.
func tokens(status int, body string) func(o *odd) {
	return answering(ibmfake.Fault{Path: "/identity/token", Skip: 1, Status: status, ContentType: "application/json", Body: body})
}

// notShown lets IAM show us our own key, and no other.
func notShown(o *odd) {
	o.Act("delete", o.ownID)
	o.AddKey(ibmfake.Key{ID: o.ownID, IAMID: o.ownIAM, Value: o.own})
}

// shownLater gives our own key its rights back after an hour.
func shownLater(o *odd) {
	time.Sleep(30 * time.Minute)
	o.Act("delete", o.ownID)
	o.AddKey(ibmfake.Key{ID: o.ownID, IAMID: o.ownIAM, Value: o.own, Administrator: true})
	o.RevokeTokens()
	time.Sleep(time.Hour)
}

// noKey is IAM's documented answer for a key that is not there.
const noKey = `{"errors":[{"code":"not_found","message_code":"BXNIM0102E"}]}`

var unknownByValue = ibmfake.Fault{
	Path: "/v1/apikeys/details", Times: ibmfake.Forever, Status: 404, ContentType: "application/json", Body: noKey,
}

// hiddenByID lets IAM say of every key that is read by its id that there is none.
func hiddenByID(o *odd) {
	o.AddFault(ibmfake.Fault{
		Method: http.MethodGet, Path: "/v1/apikeys/ApiKey-*", Times: ibmfake.Forever, Status: 404, ContentType: "application/json", Body: noKey,
	})
}

// deadValue lets the token endpoint refuse the leaked value as a disabled key's.
func deadValue(o *odd) { o.Act("disable", o.keyID) }

func forADay(o *odd) { o.faultsFor(24 * time.Hour) }

var answeringLock = answering(ibmfake.Fault{Method: http.MethodPost, Path: "/v1/apikeys/*/lock", Status: 500})

// stranger makes the leaked value one that no key has.
func stranger(o *odd) {
	o.Act("delete", o.keyID)
	o.secret = leak.NewSecret("planted-value-that-no-key-has-so-far-0123456")
}

func enabledAgain(o *odd) {
	time.Sleep(10 * time.Minute)
	o.Act("enable", o.keyID)
	time.Sleep(2 * time.Hour)
}

// swapped lets the source call the key by the type of another issuer, which does not know it.
func swapped(o *odd) {
	o.other = o.startIAM(ibmfake.Switches{}, false)
	o.others = []dispositions.Configured{{Name: "other", Issuer: o.other.issuer, TokenTypes: []string{"other_type"}}}
	o.pattern = regexp.MustCompile(`[A-Za-z0-9_-]{44}`)
	o.incident = o.reportType(o.secret, "https://example.com/1", "other_type")
}

// byType lets a source call a value so, of which no issuer is configured to see the type.
func byType(kind, value string) func(o *odd) {
	return func(o *odd) {
		o.secret = leak.NewSecret(value)
		o.incident = o.reportType(o.secret, "https://example.com/1", kind)
	}
}

const (
	classicValue = "planted0classic0infrastructure0key00123456789abcdef0123456789abc"
	hmacValue    = "0123456789abcdef0123456789abcdef:0123456789abcdef0123456789abcdef0123456789abcdef"
)

// ofCredential makes the leaked key one of a service credential.
func ofCredential(redacted bool) func(o *odd) {
	return func(o *odd) {
		o.Act("delete", o.keyID)
		o.guid, o.keyID = o.AddCredential("bound", ibmfake.Key{Setting: o.setting, Value: o.secret}, redacted)
	}
}

// forgedCredential names the leaked key like that of another's service credential.
func forgedCredential(o *odd) {
	o.guid, _ = o.AddCredential("another's", ibmfake.Key{}, false)
	o.Act("delete", o.keyID)
	_, thief := o.AddServiceID("thief", "")
	o.keyID, _ = o.AddKey(ibmfake.Key{Name: "auto-generated-apikey-" + o.guid, IAMID: thief, Setting: o.setting, Value: o.secret})
}

// abused lets the finder of a key sign in with it, and make others, while IAM refuses to disable it.
func abused(o *odd) {
	failing(ibmfake.Fault{Status: 500})(o)
	_, owner := o.AddServiceID("deployer", "")
	o.Act("delete", o.keyID)
	o.keyID, _ = o.AddKey(ibmfake.Key{Name: "leaked", IAMID: owner, Setting: o.setting, Value: o.secret})
	time.AfterFunc(30*time.Second, func() {
		o.signIn()
		o.signIn()
		o.AddKey(ibmfake.Key{Name: "backdoor", CreatedBy: owner})
		o.MakeServiceID("backdoor-id", "", owner)
		o.ClearFaults()
	})
}
