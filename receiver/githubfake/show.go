package githubfake

import (
	"fmt"
	"maps"
	"strconv"
	"time"

	"stanch/receiver/outbound/vendorfake"
)

// show writes an alert as the REST API answers it, without its secret and its repository.
func (f *Fake) show(a *alert) object {
	shown := f.whole(a)
	maps.Copy(shown, object{
		"state": a.State, "secret_type_display_name": a.DisplayName, "validity": a.Validity,
		"publicly_leaked": a.PubliclyLeaked, "multi_repo": a.MultiRepo, "is_base64_encoded": a.Base64,
		"assigned_to": f.user(a.AssignedTo), "has_more_locations": len(a.Locations) > 1, "first_location_detected": nil,
		"push_protection_bypass_request_reviewer": nil, "push_protection_bypass_request_comment": nil,
	})
	if len(a.Locations) > 0 {
		shown["first_location_detected"] = a.Locations[0].details(a.repo)
	}
	return shown
}

// hooked writes an alert as the secret_scanning_alert event has it: with neither secret nor state.
func (f *Fake) hooked(a *alert) object {
	if f.Switches().Sparse {
		return f.sparse(a)
	}
	return f.whole(a)
}

// sparse is what an older server says of an alert in an event.
func (f *Fake) sparse(a *alert) object {
	return object{
		"number": a.Number, "secret_type": a.SecretType,
		"resolution": vendorfake.Null(a.Resolution), "resolved_by": f.user(a.ResolvedBy), "resolved_at": stamp(a.ResolvedAt),
	}
}

// whole is what events and the REST API both say of an alert.
func (f *Fake) whole(a *alert) object {
	shown := f.sparse(a)
	maps.Copy(shown, object{
		"url": a.apiURL(), "locations_url": a.apiURL() + "/locations",
		"html_url":   htmlURL + "/" + a.repo.Name + "/security/secret-scanning/" + strconv.Itoa(a.Number),
		"created_at": stamp(a.CreatedAt), "updated_at": stamp(a.UpdatedAt), "resolution_comment": vendorfake.Null(a.Comment),
		"push_protection_bypassed":    a.BypassedBy != "",
		"push_protection_bypassed_by": f.user(a.BypassedBy), "push_protection_bypassed_at": a.bypassedAt(),
	})
	return shown
}

// bypassedAt is when push protection was got past: when the alert was made.
func (a *alert) bypassedAt() any {
	if a.BypassedBy == "" {
		return stamp(time.Time{})
	}
	return stamp(a.CreatedAt)
}

func (a *alert) apiURL() string {
	return fmt.Sprintf("%s/secret-scanning/alerts/%d", a.repo.apiURL(), a.Number)
}

// reveal adds the secret to what a call is answered, unless it asked not to see it.
func (c *call) reveal(shown object, a *alert) object {
	if c.request.URL.Query().Get("hide_secret") != "true" {
		shown["secret"] = a.Secret.Reveal()
		c.event.Secrets++
	}
	return shown
}
