package githubfake

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
)

// position is where an alert stands in a listing: what it is sorted by, in whole seconds, and its id. A cursor is a
// position, so that what changes while somebody pages moves in the listing and nothing else does.
type position struct {
	Second int64 `json:"s"`
	ID     int64 `json:"i"`
}

// positionOf returns where an alert stands, as a query sorts.
func positionOf(a *alert, query url.Values) position {
	if query.Get("sort") == "updated" {
		return position{a.UpdatedAt.Unix(), a.id}
	}
	return position{a.CreatedAt.Unix(), a.id}
}

// placed is below 0 when an alert comes before the position in the order of a query, above 0 when after it.
func (p position) placed(a *alert, query url.Values) int {
	q := positionOf(a, query)
	ascending := cmp.Or(cmp.Compare(q.Second, p.Second), cmp.Compare(q.ID, p.ID))
	if query.Get("direction") == "asc" {
		return ascending
	}
	return -ascending
}

// String is the position as a cursor.
func (p position) String() string {
	data, _ := json.Marshal(p) // two numbers always marshal
	return base64.RawURLEncoding.EncodeToString(data)
}

// parsePosition reads a cursor.
func parsePosition(text string) (p position, ok bool) {
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(data, &p) != nil {
		return position{}, false
	}
	return p, true
}
