package ibmcloud

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/IBM/go-sdk-core/v5/core"
	iam "github.com/IBM/platform-services-go-sdk/iamidentityv1"
	"github.com/IBM/platform-services-go-sdk/resourcecontrollerv2"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// generated is the name of an API key that was made for a service credential, with the credential's id.
var generated = regexp.MustCompile(`^auto-generated-apikey-([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$`)

// newController opens the resource controller at a URL; nil: none is configured.
func newController(url string, client *http.Client) (*resourcecontrollerv2.ResourceControllerV2, error) {
	if url == "" {
		return nil, nil //nolint:nilnil // without a URL there is none
	}
	controller, err := resourcecontrollerv2.NewResourceControllerV2(&resourcecontrollerv2.ResourceControllerV2Options{
		URL: url, Authenticator: &core.NoAuthAuthenticator{},
	})
	if err == nil {
		controller.Service.SetHTTPClient(client)
	}
	return controller, err
}

// deleteCredential deletes the service credential that a key was made for, and with it the key. The key is disabled before:
// the controller may take its time. It reports false when there is no such credential, or it is not surely the key's; then only
// the key is deleted, because whoever may name a key could otherwise have another's credential deleted.
func (i *issuer) deleteCredential(ctx context.Context, id string) (deleted bool, err error) {
	if i.controller == nil || checkID(id) != nil {
		return false, nil
	}
	if _, err := i.own.identity(ctx); err != nil {
		return false, err
	}
	found, err := i.get(ctx, "reading the key", id, false)
	if err != nil {
		return false, err
	}
	of := generated.FindStringSubmatch(value(found.Name))
	if of == nil || value(found.Locked) || i.own.translate(found).Own {
		return false, nil
	}
	if err := i.Disable(ctx, dispositions.Target{Key: leak.Key{ID: id}}); err != nil {
		return false, err
	}
	credential, err := i.credential(ctx, of[1])
	if err != nil || !belongs(credential, found) {
		return false, err
	}
	const doing = "deleting the key's service credential"
	err = i.call(ctx, doing, func(headers map[string]string) (*core.DetailedResponse, error) {
		return i.controller.DeleteResourceKeyWithContext(ctx, i.controller.NewDeleteResourceKeyOptions(of[1]).SetHeaders(headers))
	})
	return err == nil, err
}

// credential reads a service credential; nil: it is gone.
func (i *issuer) credential(ctx context.Context, id string) (found *resourcecontrollerv2.ResourceKey, err error) {
	const doing = "reading the key's service credential"
	err = i.call(ctx, doing, func(headers map[string]string) (response *core.DetailedResponse, err error) {
		found, response, err = i.controller.GetResourceKeyWithContext(ctx, i.controller.NewGetResourceKeyOptions(id).SetHeaders(headers))
		return response, err
	})
	if r, ok := errors.AsType[*refusal](err); ok && !r.token && (r.Status == http.StatusNotFound || r.Status == http.StatusGone) {
		return nil, nil //nolint:nilnil // that it is gone is no error
	}
	return found, err
}

// belongs reports whether a service credential is surely the one that a key was made for: it names the key, and the service ID
// and the account that the key is of.
func belongs(credential *resourcecontrollerv2.ResourceKey, key *iam.APIKey) bool {
	if credential == nil || credential.Credentials == nil {
		return false
	}
	c, owner := credential.Credentials, bareIAMID(value(key.IamID))
	return value(c.IamApikeyName) == value(key.Name) && serviceID.MatchString(owner) &&
		strings.HasSuffix(value(c.IamServiceidCRN), ":serviceid:"+owner) &&
		value(credential.AccountID) == value(key.AccountID)
}

// deleteKey deletes a key, and nothing else.
func (i *issuer) deleteKey(ctx context.Context, id string) error {
	return i.write(ctx, id, change{
		doing: "deleting the key", minds: true, reached: func(leak.Key) bool { return false },
		send: func(headers map[string]string) (*core.DetailedResponse, error) {
			return i.service.DeleteAPIKeyWithContext(ctx, i.service.NewDeleteAPIKeyOptions(id).SetHeaders(headers))
		},
	})
}
