package gitlabapi_test

import (
	"strings"
	"testing"

	"stanch/receiver/gitlab/gitlabapi"
)

func TestRefs(t *testing.T) {
	long := strings.Repeat("a", 255)
	for text, good := range map[string]bool{
		"acme/shop/-/vulnerabilities/7":                   true,
		"acme/platform/shop/-/jobs/9223372036854775807":   true,
		"acme/-a/.b/_c/d..e/-/jobs/1":                     true,
		long + "/" + long + "/-/jobs/1":                   true,
		long + "a/shop/-/jobs/1":                          false,
		long + "/" + long + "/a/-/jobs/1":                 false,
		"":                                                false,
		"acme/shop":                                       false,
		"acme/shop/7":                                     false,
		"acme/shop/-/":                                    false,
		"acme/shop/-/issues/7":                            false,
		"acme/shop/-/jobs/":                               false,
		"acme/shop/-/jobs/0":                              false,
		"acme/shop/-/jobs/-1":                             false,
		"acme/shop/-/jobs/+1":                             false,
		"acme/shop/-/jobs/01":                             false,
		"acme/shop/-/jobs/1/":                             false,
		"acme/shop/-/jobs/1/trace":                        false,
		"acme/shop/-/jobs/9223372036854775808":            false,
		"acme/shop/-/x/-/jobs/1":                          false,
		"acme/-/jobs/1":                                   false,
		"Acme/shop/-/jobs/1":                              false,
		"/acme/shop/-/jobs/1":                             false,
		"acme//shop/-/jobs/1":                             false,
		"acme/../shop/-/jobs/1":                           false,
		"acme/sh op/-/jobs/1":                             false,
		"acme/shop%2f/-/jobs/1":                           false,
		"acme/shop?/-/jobs/1":                             false,
		"acme/shöp/-/jobs/1":                              false,
		"https://gitlab.com/acme/shop/-/jobs/1":           false,
		"acme/shop/-/jobs/1\n":                            false,
		"acme/shop/-/security/vulnerabilities/7":          false,
		"acme/shop/-/vulnerabilities/7/-/jobs/1":          false,
		"acme/shop/-/Vulnerabilities/7":                   false,
		"acme/vulnerabilities/7":                          false,
		"acme/shop/-/vulnerabilities/planted-token-4f1c7": false,
	} {
		got, err := gitlabapi.ParseRef(text)
		if (err == nil) != good || good && got.String() != text {
			t.Errorf("%q: got %q and %v, want it to be good: %t", text, got, err, good)
		}
		if err != nil && strings.Contains(err.Error(), "acme") {
			t.Errorf("%q: got %v, want an error that says nothing of it", text, err)
		}
	}
}

// FuzzRef looks for a text that is read as a ref but is not written like one.
func FuzzRef(f *testing.F) {
	f.Add("acme/shop/-/vulnerabilities/7")
	f.Add("acme/platform/shop/-/jobs/1")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := gitlabapi.ParseRef(text); err == nil && (got.String() != text || strings.Contains(text, "..") && strings.Contains(text, "/../")) {
			t.Errorf("%q is read as %q", text, got)
		}
	})
}
