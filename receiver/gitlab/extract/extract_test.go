package extract_test

import (
	"strings"
	"testing"

	"stanch/receiver/gitlab/extract"
	"stanch/receiver/leak"
)

const key44 = "Zx9_0aB-cD1eF2gH3iJ4kL5mN6oP7qR8sT9uV0wX1yZ2" // as long as an API key of IBM Cloud

// TestFromMatch: what a scanner matched, and the token in it.
func TestFromMatch(t *testing.T) {
	const block = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----"
	for match, want := range map[string]string{
		key44: key44, "  " + key44 + "\n": key44, "p+a/s=s!": "p+a/s=s!", "hunter2": "hunter2",
		"https://deploy:" + key44 + "@api.example/v1": key44, "https://deploy:p%2Fw@api.example": "p/w",
		"https://" + key44 + "@api.example": key44, "https://deploy@api.example": "",
		"https://hooks.example/services/T00/B00/xyz": "https://hooks.example/services/T00/B00/xyz",
		`api_key = "` + key44 + `"`:                  key44, "a b": "", key44 + " " + key44: "", "": "", " \n": "",
		"AKIA**************": "", block: block, "x " + block + " y": "x " + block + " y", "-----BEGIN EC PRIVATE KEY-----": "",
		strings.Repeat("a1", 9000): "",
	} {
		if got := extract.FromMatch(leak.NewSecret(match)).Reveal(); got != want {
			t.Errorf("%.40q: got %.60q, want %.60q", match, got, want)
		}
	}
}

// TestFromLine: only what is clearly the token is taken from a line of source.
func TestFromLine(t *testing.T) {
	for line, want := range map[string]string{
		"IBM_KEY=" + key44: key44, `  "apikey": "` + key44 + `",`: key44, "\tkey: " + key44 + "\r": key44, key44: key44,
		"IBMCLOUD_PRODUCTION_API_KEY_2=" + key44: key44, `"ibmcloud_production_key_2" : "` + key44 + `"`: key44,
		"THE_VERY_LONG_NAME_OF_A_KEY=hunter2": "", "ibmcloud_production_key_number_2: x": "",
		key44 + " " + key44[1:]: "", "key=short1": "", "": "", "no digits: abcdefghijklmnopqrstuvwxyz": "",
		"curl -H 'Authorization: Bearer " + key44 + "'": key44,
	} {
		file := leak.NewSecret("first\n" + line + "\nlast " + strings.Repeat("z9", 20))
		if got := extract.FromLine(file, 2).Reveal(); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
	for _, n := range []int{-1, 0, 4, 1 << 40} {
		if got := extract.FromLine(leak.NewSecret(key44+"\n\n"+key44), n); !got.Empty() {
			t.Errorf("line %d: got a token, want none", n)
		}
	}
}

// FuzzFromLine: the token stands in the line, holds no blanks, and is bounded.
func FuzzFromLine(f *testing.F) {
	f.Add("A="+key44+"\nB=2", 1)
	f.Add("\n-----BEGIN X-----\n\n-----END X-----\n", 2)
	f.Add("user:"+key44+"@host "+key44, 1)
	f.Add(strings.Repeat("-----BEGIN\n", 300)+"-----END", 1)
	f.Fuzz(func(t *testing.T, file string, line int) {
		got := extract.FromLine(leak.NewSecret(file), line).Reveal()
		if !strings.Contains(file, got) || len(got) > 16<<10 {
			t.Errorf("got %q, which is not in the file or too long", got)
		}
		if !strings.Contains(got, "-----BEGIN") && strings.ContainsAny(got, " \t\r\n\"'=:") {
			t.Errorf("got %q, which is more than a token", got)
		}
	})
}

// FuzzFromMatch: the token is part of the match, or of the URL that the match is.
func FuzzFromMatch(f *testing.F) {
	for _, seed := range []string{key44, "https://u:p%20w@h", "a = '" + key44 + "'", "-----BEGIN X-----\nq\n-----END", "://", "x\x00y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, match string) {
		got := extract.FromMatch(leak.NewSecret(match)).Reveal()
		if len(got) > len(match) || len(got) > 16<<10 {
			t.Errorf("got %d bytes of %d", len(got), len(match))
		}
		if !strings.Contains(match, got) && !strings.Contains(match, "%") {
			t.Errorf("got %q, which is not in %q", got, match)
		}
	})
}
