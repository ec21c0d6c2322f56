package ibmcloud

import (
	"context"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	iam "github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// MadeBy implements dispositions.Tracer: the API keys that the owner of a leaked one made, of users and of service IDs. IAM lists
// the newest first, and writes times to the minute; what is older than the minute of since is not asked for.
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
			at := madeAt(found)
			if at.Before(since) || value(found.ID) == key.ID || bareIAMID(value(found.CreatedBy)) != bareIAMID(key.Owner) {
				continue
			}
			made = append(made, leak.Made{Kind: "API key", ID: value(found.ID), Name: value(found.Name), At: at})
		}
	}
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
	if err == nil && page == nil {
		err = errUnreadable
	}
	return page, err
}

func madeAt(found *iam.APIKey) time.Time {
	if found.CreatedAt == nil {
		return time.Time{}
	}
	return time.Time(*found.CreatedAt)
}
