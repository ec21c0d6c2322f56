package githubapi

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"strconv"

	gh "github.com/google/go-github/v60/github"
)

// perPage is the most that GitHub puts on one page.
const perPage = "100"

// listing is a list that comes in pages.
type listing struct {
	request
	ask func(context.Context, request) (*gh.Response, error)
	// byNumber is the query to begin with anew where the server has numbered pages instead of cursors; nil: the same.
	byNumber url.Values
}

// entry is what a list is of.
type entry interface{ id() string }

// pages yields page after page. Of the links of an answer only the cursor or the number is taken, never the host. An
// error ends it, and so does a page that was there before: a server that repeats itself would be asked for ever.
func pages[E entry](ctx context.Context, l listing) iter.Seq2[[]E, error] {
	return func(yield func([]E, error) bool) {
		seen := map[string]bool{}
		for before := ""; ; {
			page, next, err := onePage[E](ctx, l)
			if err != nil {
				yield(nil, err)
				return
			}
			if next.name == numbered && l.byNumber != nil {
				l.query, l.byNumber = l.byNumber, nil
				continue
			}
			if len(page) > 0 && (page[0].id() == before || seen[next.at]) {
				yield(nil, fmt.Errorf("%s: %w", l.doing, errRepeats))
				return
			}
			if !yield(page, nil) || next.at == "" || len(page) == 0 {
				return
			}
			before, seen[next.at] = page[0].id(), true
			l.query = next.query(l.query)
		}
	}
}

// onePage asks for a page. A list that is missing is not one that is empty.
func onePage[E entry](ctx context.Context, l listing) ([]E, position, error) {
	var page []E
	l.into = &page
	response, err := l.ask(ctx, l.request)
	if err != nil {
		return nil, position{}, err
	}
	if page == nil {
		return nil, position{}, fmt.Errorf("%s: %w", l.doing, errUnreadable)
	}
	return page, nextPage(response), nil
}

// position is where a page begins: the query's parameter, and its value. The zero position is that there is none.
type position struct{ name, at string }

// numbered is the parameter of pages with numbers.
const numbered = "page"

func nextPage(response *gh.Response) position {
	switch {
	case response.After != "":
		return position{"after", response.After}
	case response.Cursor != "":
		return position{"cursor", response.Cursor}
	case response.NextPage > 0:
		return position{numbered, strconv.Itoa(response.NextPage)}
	}
	return position{}
}

// query is the query of a list from this position on.
func (p position) query(before url.Values) url.Values {
	query := maps.Clone(before)
	for _, name := range []string{"after", "cursor", numbered} {
		query.Del(name)
	}
	query.Set(p.name, p.at)
	return query
}
