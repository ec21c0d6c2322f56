package githubclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	gh "github.com/google/go-github/v60/github"
)

// perPage is the most that GitHub puts on one page.
const perPage = 100

var errRepeats = errors.New("the pages repeat themselves")

// Page fetches the page of a list that begins at a position.
type Page[E any] func(ctx context.Context, to *gh.Client, from Position) ([]E, *gh.Response, error)

// List is a list that comes in pages.
type List[E any] struct {
	Call // without Send
	// Do makes the calls: Client.Do or Client.DoAsApp.
	Do   func(context.Context, Call) (*gh.Response, error)
	Page Page[E]
	// ByNumber replaces Page, from the start, if the server turns out to have numbered pages instead of cursors; nil: Page
	// stays.
	ByNumber Page[E]
	// ID tells the entries of the list apart.
	ID func(E) string
}

// Pages yields page after page. It takes only the cursor or the number from the links of an answer, never the host. An error
// ends it, and so does a page that occurred before: a server that repeats itself would keep us asking for ever.
func (l List[E]) Pages(ctx context.Context) iter.Seq2[[]E, error] {
	return func(yield func([]E, error) bool) {
		seen, before, from := map[string]bool{}, "", Position{}
		for {
			page, next, err := l.fetch(ctx, from)
			if err != nil {
				yield(nil, err)
				return
			}
			if next.name == numbered && l.ByNumber != nil {
				l.Page, l.ByNumber, from = l.ByNumber, nil, Position{}
				continue
			}
			if len(page) > 0 && (l.ID(page[0]) == before || seen[next.at]) {
				yield(nil, fmt.Errorf("%s: %w", l.Doing, errRepeats))
				return
			}
			if !yield(page, nil) || next.at == "" || len(page) == 0 {
				return
			}
			before, seen[next.at], from = l.ID(page[0]), true, next
		}
	}
}

// First returns the first page.
func (l List[E]) First(ctx context.Context) ([]E, error) {
	page, _, err := l.fetch(ctx, Position{})
	return page, err
}

// fetch fetches a page. A missing list is not an empty one.
func (l List[E]) fetch(ctx context.Context, from Position) ([]E, Position, error) {
	var page []E
	l.Send = func(ctx context.Context, to *gh.Client) (response *gh.Response, err error) {
		page, response, err = l.Page(ctx, to, from)
		return response, err
	}
	response, err := l.Do(ctx, l.Call)
	if err != nil {
		return nil, Position{}, err
	}
	if page == nil {
		return nil, Position{}, fmt.Errorf("%s: %w", l.Doing, ErrUnreadable)
	}
	return page, after(response), nil
}

// RawPage returns the Page of a list that go-github has no method for, or one that does not fit; whoever uses it says why.
func RawPage[E any](path string, query url.Values) Page[E] {
	return func(ctx context.Context, to *gh.Client, from Position) (page []E, response *gh.Response, err error) {
		response, err = Raw(http.MethodGet, path, from.query(query), nil, &page)(ctx, to)
		return page, response, err
	}
}

// Position is where a page of a list begins: a parameter of the query, and its value. The zero Position is the start.
type Position struct{ name, at string }

// numbered is the parameter of numbered pages.
const numbered = "page"

// after is where the page after an answer begins; the zero Position means that there is none.
func after(response *gh.Response) Position {
	switch {
	case response.After != "":
		return Position{"after", response.After}
	case response.Cursor != "":
		return Position{"cursor", response.Cursor}
	case response.NextPage > 0:
		return Position{numbered, strconv.Itoa(response.NextPage)}
	}
	return Position{}
}

// query is the query for the page at this position.
func (p Position) query(base url.Values) url.Values {
	query := maps.Clone(base)
	query.Set("per_page", cmp.Or(query.Get("per_page"), strconv.Itoa(perPage)))
	if p.name != "" {
		for _, name := range []string{"after", "cursor", numbered} {
			query.Del(name)
		}
		query.Set(p.name, p.at)
	}
	return query
}

// Options are the options of go-github's methods for the page at this position.
func (p Position) Options() *gh.ListCursorOptions {
	options := &gh.ListCursorOptions{PerPage: perPage}
	switch p.name {
	case "after":
		options.After = p.at
	case "cursor":
		options.Cursor = p.at
	case numbered:
		options.Page = p.at
	}
	return options
}
