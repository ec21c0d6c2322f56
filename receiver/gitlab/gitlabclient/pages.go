package gitlabclient

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	gl "github.com/xanzy/go-gitlab"
)

const (
	// PerPage is the most that GitLab puts on one page of most lists.
	PerPage = 100
	// maxPages is how many pages a list may have: a server that repeats itself would keep us asking for ever.
	maxPages = 5000
)

// ErrRepeats means that a list goes on for ever. Nobody knows more then.
var ErrRepeats = errors.New("the pages repeat themselves")

// List is a list of REST that comes in numbered pages.
type List[E any] struct {
	Call // without Send
	// Page fetches the page with a number, from 1; page is nil if the answer holds none.
	Page func(to *API, number int, options ...gl.RequestOptionFunc) (page []E, err error)
}

// Pages yields page after page. An error ends it, and so does a page that occurred before.
func (l List[E]) Pages(ctx context.Context, c *Client) iter.Seq2[[]E, error] {
	return func(yield func([]E, error) bool) {
		for number := 1; number > 0; {
			page, next, err := l.fetch(ctx, c, number)
			if err == nil && (next > 0 && next <= number || next > maxPages) {
				err = fmt.Errorf("%s: %w", l.Doing, ErrRepeats)
			}
			if !yield(page, err) || err != nil || len(page) == 0 {
				return
			}
			number = next
		}
	}
}

// First returns the first page.
func (l List[E]) First(ctx context.Context, c *Client) ([]E, error) {
	page, _, err := l.fetch(ctx, c, 1)
	return page, err
}

// fetch fetches a page, and returns the number of the next one; 0: there is none. A missing list is not an empty one.
func (l List[E]) fetch(ctx context.Context, c *Client, number int) (page []E, next int, err error) {
	l.Send = func(to *API, options ...gl.RequestOptionFunc) (err error) {
		page, err = l.Page(to, number, options...)
		return err
	}
	answer, err := c.Do(ctx, l.Call)
	if err == nil && page == nil {
		err = fmt.Errorf("%s: %w", l.Doing, ErrUnreadable)
	}
	if err != nil {
		return nil, 0, err
	}
	next, _ = strconv.Atoi(answer.Header.Get("X-Next-Page")) // empty on the last page
	return page, next, nil
}

// RawPage returns the Page of a list that go-gitlab has no method for, or one that does not fit; whoever uses it says why. The
// query may say how many entries a page has; otherwise it is PerPage.
func RawPage[E any](path string, query url.Values) func(*API, int, ...gl.RequestOptionFunc) ([]E, error) {
	return func(to *API, number int, options ...gl.RequestOptionFunc) (page []E, err error) {
		all := url.Values{"page": {strconv.Itoa(number)}, "per_page": {strconv.Itoa(PerPage)}}
		maps.Copy(all, query)
		err = Raw(http.MethodGet, path, all, nil, &page)(to, options...)
		return page, err
	}
}
