package ibmcloud

import (
	"context"
	"regexp"

	"github.com/IBM/go-sdk-core/v5/core"
	iam "github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"stanch/receiver/leak"
)

// serviceID is what the id of a service ID looks like: its iam_id without "iam-". Nothing else goes into a path.
var serviceID = regexp.MustCompile(`^ServiceId-[0-9a-fA-F-]{36}$`)

// ownerName asks what a key's service ID is called, so that people know whose key it is, and which cluster's: Kubernetes
// Service calls a cluster's service ID cluster-ID. Empty: a user's key, or IAM does not say in time.
func (i *issuer) ownerName(ctx context.Context, key leak.Key) string {
	id := bareIAMID(key.Owner)
	if !serviceID.MatchString(id) {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, activityTimeout)
	defer cancel()
	var found *iam.ServiceID
	err := i.call(ctx, "reading the key's service ID", func(headers map[string]string) (response *core.DetailedResponse, err error) {
		found, response, err = i.service.GetServiceIDWithContext(ctx, i.service.NewGetServiceIDOptions(id).SetHeaders(headers))
		return response, err
	})
	if err != nil || found == nil {
		i.log.DebugContext(ctx, "the name of a key's owner is not known", "key_id", key.ID, "err", err)
		return ""
	}
	return value(found.Name)
}
