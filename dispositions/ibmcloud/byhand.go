package ibmcloud

import (
	"regexp"

	"stanch/receiver/leak"
)

// manual is a kind of secret for which IBM Cloud has no call that finds it by its value.
type manual struct {
	kind, how string
	named     *regexp.Regexp // what sources call it
	form      *regexp.Regexp // of the whole value
}

var manuals = []manual{
	{
		kind: "classic infrastructure key",
		how: "in the console, at Manage, Access (IAM), Users, delete the classic infrastructure API key of the user whose it is " +
			"(or call SoftLayer_User_Customer::removeApiAuthenticationKey)",
		named: regexp.MustCompile(`(?i)softlayer|ibm.*classic`),
		form:  regexp.MustCompile(`^[a-z0-9]{64}$`),
	},
	{
		kind: "Cloud Object Storage HMAC pair",
		how: "find the service credential whose cos_hmac_keys hold it (`ibmcloud resource service-keys --output json`), and delete it: " +
			"`ibmcloud resource service-key-delete`",
		named: regexp.MustCompile(`(?i)cos.*hmac|hmac.*cos`),
		form:  regexp.MustCompile(`^([0-9a-f]{32}:)?[0-9a-f]{48}$`),
	},
}

// ours is what sources call secrets of IBM; with another name a value's form says nothing.
var ours = regexp.MustCompile(`(?i)^$|ibm|bluemix|softlayer`)

// Recognise implements dispositions.Recogniser.
func (i *issuer) Recognise(c leak.Content) (kind, byHand string, ok bool) {
	for _, m := range manuals {
		if m.named.MatchString(c.Type) || ours.MatchString(c.Type) && m.form.MatchString(c.Secret.Reveal()) {
			return m.kind, m.how, true
		}
	}
	return "", "", false
}
