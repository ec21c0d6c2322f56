package gitlabfake

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"sort"
	"strconv"
)

// manyItems is above which GitLab does not count: no total and no last page.
const manyItems = 10_000

// positive reads a query parameter that is a number of at least 1.
func positive(query url.Values, name string, otherwise int) int {
	n, err := strconv.Atoi(query.Get(name))
	if err != nil || n < 1 {
		return otherwise
	}
	return n
}

// page cuts what a query asks for, by number or, with pagination=keyset, after a cursor. The items must be in the order of
// what id gives, up or down.
func page[T any](c *call, all []T, id func(T) int64) ([]T, *answer) {
	query := c.request.URL.Query()
	size := min(positive(query, "per_page", 20), 100)
	if query.Get("pagination") == "keyset" {
		return afterCursor(c, all, size, id)
	}
	return byNumber(c, all, size), nil
}

func byNumber[T any](c *call, all []T, size int) []T {
	at, last := positive(c.request.URL.Query(), "page", 1), max((len(all)+size-1)/size, 1)
	c.pages["X-Page"], c.pages["X-Per-Page"] = strconv.Itoa(at), strconv.Itoa(size)
	c.pages["X-Next-Page"], c.pages["X-Prev-Page"] = "", ""
	if at > 1 {
		c.pages["X-Prev-Page"] = c.page("prev", min(at-1, last))
	}
	if at < last {
		c.pages["X-Next-Page"] = c.page("next", at+1)
	}
	c.page("first", 1)
	if len(all) <= manyItems {
		c.pages["X-Total"], c.pages["X-Total-Pages"] = strconv.Itoa(len(all)), strconv.Itoa(last)
		c.page("last", last)
	}
	from := min((at-1)*size, len(all))
	return all[from:min(from+size, len(all))]
}

// page adds a link to a page and returns its number.
func (c *call) page(relation string, number int) string {
	text := strconv.Itoa(number)
	c.links.Add(c.request, relation, "page", text)
	return text
}

// afterCursor cuts what stands after a cursor; without one, the first page. Nothing is counted.
func afterCursor[T any](c *call, all []T, size int, id func(T) int64) ([]T, *answer) {
	from := 0
	if text := c.request.URL.Query().Get("cursor"); text != "" {
		data, err := base64.RawURLEncoding.DecodeString(text)
		at, wrong := strconv.ParseInt(string(data), 10, 64)
		if err != nil || wrong != nil {
			return nil, invalid("cursor")
		}
		rising := len(all) < 2 || id(all[0]) < id(all[1])
		from = sort.Search(len(all), func(i int) bool { return rising && id(all[i]) > at || !rising && id(all[i]) < at })
	}
	to := min(from+size, len(all))
	if to < len(all) {
		cursor := strconv.FormatInt(id(all[to-1]), 10)
		c.links.Add(c.request, "next", "cursor", base64.RawURLEncoding.EncodeToString([]byte(cursor)))
	}
	return all[from:to], nil
}

// listed answers the page of a list that a call asks for.
func listed[T any](c *call, all []T, id func(T) int64, show func(T) object) *answer {
	part, no := page(c, all, id)
	if no != nil {
		return no
	}
	shown := make([]object, len(part))
	for i, item := range part {
		shown[i] = show(item)
	}
	return &answer{Status: http.StatusOK, Body: shown}
}
