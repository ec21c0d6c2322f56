package ibmcloud_test

import (
	"testing"

	"stanch/dispositions/ibmfake"
)

// TestOwnerName: of a service ID's key its owner is named; when IAM does not say, the key is located all the same.
func TestOwnerName(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	_, owner := f.AddServiceID("cluster-ck0a5faw0bm3lnln95lg", "")
	_, secret := f.AddKey(ibmfake.Key{Name: "registry", IAMID: owner})
	if key := f.mustLocate(t, secret); key.OwnerName != "cluster-ck0a5faw0bm3lnln95lg" || key.Owner != owner {
		t.Errorf("got the owner %q, named %q", key.Owner, key.OwnerName)
	}
	_, users := f.AddKey(ibmfake.Key{Name: "laptop"})
	if key := f.mustLocate(t, users); key.OwnerName != "" {
		t.Errorf("got the name %q for a user", key.OwnerName)
	}
	f.AddFault(ibmfake.Fault{Path: "/v1/serviceids/*", Status: 500, Times: ibmfake.Forever})
	if key := f.mustLocate(t, secret); key.OwnerName != "" || key.ID == "" {
		t.Errorf("got %+v, want the key without the name", key)
	}
}
