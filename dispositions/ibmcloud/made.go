package ibmcloud

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	iam "github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// MadeBy implements dispositions.Tracer: the API keys that the owner of a leaked one made, of users and of service IDs, and the
// service IDs. IAM lists the newest first, and writes times to the minute; what is older than the minute of since is not asked
// for.
func (i *issuer) MadeBy(ctx context.Context, key leak.Key, since time.Time) ([]leak.Made, error) {
	since = since.Truncate(time.Minute)
	var made []leak.Made
	for _, kind := range []string{iam.ListAPIKeysOptionsTypeUserConst, iam.ListAPIKeysOptionsTypeServiceidConst} {
		page, err := i.newest(ctx, key.Account, kind)
		if err != nil {
			return nil, err
		}
		for n := range page.Apikeys {
			found := &page.Apikeys[n]
			at := time.Time(value(found.CreatedAt))
			if at.Before(since) || value(found.ID) == key.ID || bareIAMID(value(found.CreatedBy)) != bareIAMID(key.Owner) {
				continue
			}
			made = append(made, leak.Made{Kind: "API key", ID: value(found.ID), Name: value(found.Name), At: at})
		}
	}
	identities, err := i.identitiesMadeBy(ctx, key, since)
	if err != nil {
		return nil, err
	}
	made = append(made, identities...)
	slices.SortStableFunc(made, func(a, b leak.Made) int { return b.At.Compare(a.At) })
	return made[:min(len(made), dispositions.MaxMade)], nil
}

// newest asks for the newest keys of an account, one page of them.
func (i *issuer) newest(ctx context.Context, account, kind string) (page *iam.APIKeyList, err error) {
	const doing = "listing the newest keys"
	options := i.service.NewListAPIKeysOptions().SetScope(iam.ListAPIKeysOptionsScopeAccountConst).SetAccountID(account).
		SetType(kind).SetSort("created_at").SetOrder(iam.ListAPIKeysOptionsOrderDescConst).SetPagesize(pageSize)
	err = i.call(ctx, doing, func(headers map[string]string) (response *core.DetailedResponse, err error) {
		page, response, err = i.service.ListAPIKeysWithContext(ctx, options.SetHeaders(headers))
		return response, err
	})
	if err == nil && (page == nil || page.Apikeys == nil) { // an answer without a list says nothing
		err = fmt.Errorf("%s: %w", doing, errUnreadable)
	}
	return page, err
}

// identitiesMadeBy returns the service IDs of an account that a key's owner made. Who made one only its history says: the oldest
// record of it is of its making.
func (i *issuer) identitiesMadeBy(ctx context.Context, key leak.Key, since time.Time) ([]leak.Made, error) {
	page, err := i.newestIdentities(ctx, key.Account)
	if err != nil {
		return nil, err
	}
	var made []leak.Made
	for n := range page.Serviceids {
		found := &page.Serviceids[n]
		at := time.Time(value(found.CreatedAt))
		if at.Before(since) || maker(found.History) != bareIAMID(key.Owner) {
			continue
		}
		made = append(made, leak.Made{Kind: "service ID", ID: value(found.ID), Name: value(found.Name), At: at})
	}
	return made, nil
}

// newestIdentities asks for the newest service IDs of an account, one page of them.
func (i *issuer) newestIdentities(ctx context.Context, account string) (page *iam.ServiceIDList, err error) {
	const doing = "listing the newest service IDs"
	options := i.service.NewListServiceIdsOptions().SetAccountID(account).SetSort("created_at").
		SetOrder(iam.ListServiceIdsOptionsOrderDescConst).SetPagesize(pageSize).SetIncludeHistory(true)
	err = i.call(ctx, doing, func(headers map[string]string) (response *core.DetailedResponse, err error) {
		page, response, err = i.service.ListServiceIdsWithContext(ctx, options.SetHeaders(headers))
		return response, err
	})
	if err == nil && (page == nil || page.Serviceids == nil) {
		err = fmt.Errorf("%s: %w", doing, errUnreadable)
	}
	return page, err
}

// maker is who made what a history is of, as bareIAMID writes it; empty: nobody knows.
func maker(history []iam.EnityHistoryRecord) string {
	var by string
	var first time.Time
	for _, record := range history {
		if at := parseTime(value(record.Timestamp)); first.IsZero() || at.Before(first) {
			by, first = bareIAMID(value(record.IamID)), at
		}
	}
	return by
}
