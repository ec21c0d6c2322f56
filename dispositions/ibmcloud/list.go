package ibmcloud

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/IBM/go-sdk-core/v5/core"
	iam "github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"stanch/receiver/leak"
)

const (
	// pageSize is how many keys one page holds, the most that IAM allows.
	pageSize = 100
	// maxPages bounds a list that does not end: two hundred thousand keys, far more than an account has.
	maxPages = 2000
)

// Errors of a list that has to end before its end.
var (
	errSamePage  = errors.New("a page comes again, so the list would not end")
	errNextPage  = errors.New("the link to the next page cannot be read")
	errManyPages = errors.New("the list has too many pages")
)

// listing is what is being done when a list fails.
const listing = "listing the account's keys"

// keys yields every key of an account, those of users first, then those of service IDs; of these IAM lists the ones in
// the account's default group. An error ends it. What a key's value is, nobody looks at.
func (i *issuer) keys(ctx context.Context, account string) iter.Seq2[leak.Key, error] {
	return func(yield func(leak.Key, error) bool) {
		if _, err := i.own.identity(ctx); err != nil { // without it no key is known to be ours
			yield(leak.Key{}, err)
			return
		}
		for _, kind := range []string{iam.ListAPIKeysOptionsTypeUserConst, iam.ListAPIKeysOptionsTypeServiceidConst} {
			for found, err := range i.pages(ctx, account, kind) {
				if err != nil {
					yield(leak.Key{}, err)
					return
				}
				for n := range found {
					if !yield(i.own.translate(&found[n]), nil) {
						return
					}
				}
			}
		}
	}
}

// pages yields one kind of an account's keys by the page. An error ends it.
func (i *issuer) pages(ctx context.Context, account, kind string) iter.Seq2[[]iam.APIKey, error] {
	return func(yield func([]iam.APIKey, error) bool) {
		token, seen := "", map[string]bool{"": true}
		for range maxPages {
			page, err := i.page(ctx, account, kind, token)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(page.Apikeys, nil) || value(page.Next) == "" {
				return
			}
			if token, err = nextPage(page, seen); err != nil {
				yield(nil, err)
				return
			}
		}
		yield(nil, fmt.Errorf("%s: %w", listing, errManyPages))
	}
}

// page asks for one page; the empty token is the first.
func (i *issuer) page(ctx context.Context, account, kind, token string) (page *iam.APIKeyList, err error) {
	options := i.service.NewListAPIKeysOptions().SetScope(iam.ListAPIKeysOptionsScopeAccountConst).
		SetAccountID(account).SetType(kind).SetPagesize(pageSize)
	if token != "" {
		options.SetPagetoken(token)
	}
	err = i.call(ctx, listing, func(headers map[string]string) (response *core.DetailedResponse, err error) {
		page, response, err = i.service.ListAPIKeysWithContext(ctx, options.SetHeaders(headers))
		return response, err
	})
	if err == nil && page == nil {
		err = fmt.Errorf("%s: %w", listing, errUnreadable)
	}
	return page, err
}

// nextPage returns the token of the page after one, and remembers it as seen.
func nextPage(page *iam.APIKeyList, seen map[string]bool) (string, error) {
	token, err := core.GetQueryParam(page.Next, "pagetoken")
	switch {
	case err != nil || token == nil:
		return "", fmt.Errorf("%s: %w", listing, errNextPage)
	case seen[*token]:
		return "", fmt.Errorf("%s: %w", listing, errSamePage)
	}
	seen[*token] = true
	return *token, nil
}
