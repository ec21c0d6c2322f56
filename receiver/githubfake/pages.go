package githubfake

import (
	"net/url"
	"sort"
	"strconv"
)

// perPage is how many things a page has: 30 unless asked otherwise, 100 at most.
func perPage(query url.Values) int {
	n, err := strconv.Atoi(query.Get("per_page"))
	if err != nil || n < 1 {
		return 30
	}
	return min(n, 100)
}

// pageOfAlerts cuts the page that a query asks for, by cursor where it may.
func (c *call) pageOfAlerts(all []*alert, query url.Values) ([]*alert, *answer) {
	asked := query.Has("after") || query.Has("before")
	if mode := c.fake.Switches().Cursors; mode != "never" && (asked || mode == "always" && !query.Has("page")) {
		return c.byCursor(all, query)
	}
	return byPage(c, all), nil
}

// byPage cuts a page by its number.
func byPage[T any](c *call, all []T) []T {
	query := c.request.URL.Query()
	size := perPage(query)
	page, _ := strconv.Atoi(query.Get("page")) // what is no number is the first page
	page, last := max(page, 1), max((len(all)+size-1)/size, 1)
	if page > 1 {
		c.links.Add(c.request, "first", "page", "1")
		c.links.Add(c.request, "prev", "page", strconv.Itoa(min(page-1, last)))
	}
	if page < last {
		c.links.Add(c.request, "next", "page", strconv.Itoa(page+1))
		c.links.Add(c.request, "last", "page", strconv.Itoa(last))
	}
	from := min((page-1)*size, len(all))
	return all[from:min(from+size, len(all))]
}

// byCursor cuts what stands after or before a cursor; an empty one asks for the first page.
func (c *call) byCursor(all []*alert, query url.Values) ([]*alert, *answer) {
	size := perPage(query)
	var from int
	if text := query.Get("after"); text != "" {
		p, ok := parsePosition(text)
		if !ok {
			return nil, invalid("after")
		}
		from = sort.Search(len(all), func(i int) bool { return p.placed(all[i], query) > 0 })
	}
	to := min(from+size, len(all))
	if text := query.Get("before"); text != "" {
		p, ok := parsePosition(text)
		if !ok {
			return nil, invalid("before")
		}
		to = sort.Search(len(all), func(i int) bool { return p.placed(all[i], query) >= 0 })
		from = max(to-size, 0)
	}
	if from > 0 && from < to {
		c.links.Add(c.request, "prev", "before", positionOf(all[from], query).String())
	}
	if to < len(all) && from < to {
		c.links.Add(c.request, "next", "after", positionOf(all[to-1], query).String())
	}
	return all[from:to], nil
}
