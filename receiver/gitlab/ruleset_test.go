package gitlab_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestRuleset reads the rule that operators paste into GitLab as gitleaks does, which is written in Go as well: it finds an
// IBM Cloud key where such keys stand, and nothing else that looks like one.
func TestRuleset(t *testing.T) {
	data, err := os.ReadFile("../../deploy/gitlab/secret-detection-ruleset.toml")
	if err != nil {
		t.Fatal(err)
	}
	field := func(name string) string {
		match := regexp.MustCompile(`(?m)^` + name + ` = ['"](.+)['"]$`).FindSubmatch(data)
		if match == nil {
			t.Fatalf("the ruleset has no %s", name)
		}
		return string(match[1])
	}
	if got := "gitleaks_rule_id_" + field("id"); got != ibmType {
		t.Errorf("its findings have the type %s, want %s", got, ibmType)
	}
	if field("path") != "/gitleaks.toml" {
		t.Error("it takes the place of GitLab's own rules")
	}
	rule := regexp.MustCompile(field("regex"))
	key := "Zk3vQ8xR1mT7yB5nW2cJ9pL4sD6fG0hA-eUiOqXzVb_c"
	for text, want := range map[string]string{
		"IBMCLOUD_API_KEY=" + key:                      key,
		"export IC_API_KEY='" + key + "'\n":            key,
		"bluemix-api-key: " + key + "\n":               key,
		`{"apikey": "` + key + `", "iam_apikey_id":1}`: key,
		"ibmcloud login --apikey " + key + " -r eu-de": key,
		`ibmcloud_api_key = "` + key + `"`:             key,
		`ibm.iam.apiKey => "` + key + `",`:             key,
		"OTHER_API_KEY=" + key:                         "",
		"IBMCLOUD_API_KEY=" + key + "abc":              "",
		"IBMCLOUD_API_KEY=" + key[1:]:                  "",
		"IBMCLOUD_API_KEY=$" + key:                     "",
		"The keys of IBM are of 44 characters":         "",
	} {
		found := ""
		if match := rule.FindStringSubmatch(text); match != nil {
			found = match[1]
		}
		if found != want {
			t.Errorf("%s: found %q, want %q", text, found, want)
		}
	}
	for _, keyword := range regexp.MustCompile(`"([a-z_]+)"`).FindAllSubmatch(regexp.MustCompile(`(?m)^keywords = .*$`).Find(data), -1) {
		if !strings.Contains(field("regex"), string(keyword[1])) {
			t.Errorf("the keyword %s is not in the rule, so that nothing more is found by it", keyword[1])
		}
	}
}
