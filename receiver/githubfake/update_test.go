package githubfake_test

import (
	"strings"
	"testing"

	"stanch/receiver/githubfake"
)

const firstAlert = "repos/acme/shop/secret-scanning/alerts/1"

// Each update is made to an open alert.
func TestUpdate(t *testing.T) {
	long := strings.Repeat("ä", 281)
	type body = map[string]any
	for _, row := range []struct {
		name     string
		body     body
		switches githubfake.Switches
		status   int
		want     githubfake.Alert // State, Resolution, Comment, Validity, AssignedTo
	}{
		{name: "nothing", body: body{}, status: 422},
		{name: "bad state", body: body{"state": "closed"}, status: 422},
		{name: "no resolution", body: body{"state": "resolved"}, status: 422},
		{name: "bad resolution", body: body{"state": "resolved", "resolution": "pattern_deleted"}, status: 422},
		{name: "open with a resolution", body: body{"state": "open", "resolution": "revoked"}, status: 422},
		{name: "open with a comment", body: body{"state": "open", "resolution_comment": "c"}, status: 422},
		{name: "a resolution alone", body: body{"resolution": "revoked"}, status: 422},
		{name: "bad validity", body: body{"validity": "dead"}, status: 422},
		{name: "already open", body: body{"state": "open"}, status: 400},
		{name: "already open, lenient", body: body{"state": "open"}, switches: githubfake.Switches{Unchanged: 200}, status: 200},
		{
			name: "all at once", status: 200,
			body: body{"state": "resolved", "resolution": "used_in_tests", "resolution_comment": long, "validity": "inactive"},
			want: githubfake.Alert{State: "resolved", Resolution: "used_in_tests", Comment: long, Validity: "inactive"},
		},
		{name: "validity alone", body: body{"validity": "active"}, status: 200, want: githubfake.Alert{Validity: "active"}},
		{name: "validity null", body: body{"validity": nil}, status: 200, want: githubfake.Alert{Validity: "unknown"}},
		{
			name: "validity ignored", body: body{"validity": "active"}, status: 200,
			switches: githubfake.Switches{Validity: "ignored"},
		},
		{
			name: "validity refused", body: body{"validity": "active"}, status: 422,
			switches: githubfake.Switches{Validity: "refused"},
		},
		{
			name: "comment too long", status: 400, switches: githubfake.Switches{CommentLimit: 280},
			body: body{"state": "resolved", "resolution": "revoked", "resolution_comment": long},
		},
		{
			name: "delegated", status: 403, switches: githubfake.Switches{DelegatedDismissal: true},
			body: body{"state": "resolved", "resolution": "revoked"},
		},
		{name: "assigned", body: body{"assignee": "ann"}, status: 200, want: githubfake.Alert{AssignedTo: "ann"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			server, c := start(t, githubfake.Options{Switches: row.switches})
			server.AddAlert(githubfake.Alert{})
			response, err := patch(t, c, firstAlert, row.body)
			expect(t, row.name, response, err, row.status)
			a, _ := server.Alert("acme/shop", 1)
			got := githubfake.Alert{
				State: a.State, Resolution: a.Resolution, Comment: a.Comment, Validity: a.Validity, AssignedTo: a.AssignedTo,
			}
			want := row.want
			want.State, want.Validity = or(want.State, "open"), or(want.Validity, "unknown")
			if !same(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if e := server.Journal()[0]; e.Changed != (row.status == 200) || e.Status != row.status {
				t.Errorf("got the event %+v", e)
			}
		})
	}
}

func same(a, b githubfake.Alert) bool {
	return a.State == b.State && a.Resolution == b.Resolution && a.Comment == b.Comment && a.Validity == b.Validity &&
		a.AssignedTo == b.AssignedTo
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func TestUpdateBadJSON(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	server.AddAlert(githubfake.Alert{})
	request, err := c.NewRequest("PATCH", firstAlert, "no object")
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.Do(t.Context(), request, nil)
	expect(t, "a string", response, err, 400)
}
