package gitlabapi

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"strconv"
)

// maxPages is how many pages a list may have. A server that repeats itself would be asked for ever.
const maxPages = 5000

// pages yields page after page of a list of REST. An error ends it, and so does a page that was there before.
func pages[E any](ctx context.Context, v *vendor, r request) iter.Seq2[[]E, error] {
	return func(yield func([]E, error) bool) {
		for at := 1; at > 0; {
			page, next, err := onePage[E](ctx, v, r, at)
			if err == nil && (next > 0 && next <= at || next > maxPages) {
				err = fmt.Errorf("%s: %w", r.doing, errRepeats)
			}
			if !yield(page, err) || err != nil || len(page) == 0 {
				return
			}
			at = next
		}
	}
}

// onePage asks for a page, and returns the number of the next one; 0: there is none. A list that is missing is not one that is
// empty.
func onePage[E any](ctx context.Context, v *vendor, r request, at int) (page []E, next int, err error) {
	query := url.Values{"page": {strconv.Itoa(at)}}
	maps.Copy(query, r.query)
	r.query, r.into = query, &page
	answer, err := v.ask(ctx, r)
	if err == nil && page == nil {
		err = fmt.Errorf("%s: %w", r.doing, errUnreadable)
	}
	if err != nil {
		return nil, 0, err
	}
	next, _ = strconv.Atoi(answer.header.Get("X-Next-Page")) // empty on the last page
	return page, next, nil
}
