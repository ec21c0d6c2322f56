package gitlab_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// planted is what the suite plants.
const planted = "planted-token-4f1c"

// array writes a delivery of records.
func array(records ...string) []byte { return []byte("[" + strings.Join(records, ",") + "]") }

// badRecords are records that cannot be used, of a feed whose records have the address in a field of this name.
func badRecords(address string) map[string]string {
	return map[string]string{
		"a string":                  `"planted-token-4f1c"`,
		"an array":                  `["planted-token-4f1c"]`,
		"null":                      `null`,
		"token missing":             `{"type":"planted-token-4f1c"}`,
		"token empty":               `{"token":"","type":"planted-token-4f1c"}`,
		"token null":                `{"token":null,"type":"planted-token-4f1c"}`,
		"token of another type":     `{"token":["planted-token-4f1c"]}`,
		"address of another type":   `{"token":"planted-token-4f1c","` + address + `":{"file":"a"}}`,
		"token twice":               `{"token":"planted-token-4f1c","token":"other"}`,
		"token twice, escaped":      `{"token":"planted-token-4f1c","\u0074oken":"other"}`,
		"bad UTF-8":                 "{\"token\":\"planted-token-4f1c\xff\"}",
		"half a surrogate":          `{"token":"planted-token-4f1c\ud800"}`,
		"a zero character":          `{"token":"planted-token-4f1c\u0000"}`,
		"the name in another case":  `{"Token":"planted-token-4f1c"}`,
		"a name of nothing for all": `{"":"planted-token-4f1c"}`,
	}
}

var notFormat = map[string][]byte{
	"nothing":          nil,
	"null":             []byte("null"),
	"an object":        []byte(`{"token":"planted-token-4f1c"}`),
	"a string":         []byte(`"planted-token-4f1c"`),
	"not closed":       []byte(`[{"token":"planted-token-4f1c"}`),
	"broken off":       []byte(`[{"token":"planted-token-4f1c`),
	"comma at the end": []byte(`[{"token":"planted-token-4f1c"},]`),
	"text behind":      []byte(`[{"token":"planted-token-4f1c"}] planted-token-4f1c`),
	"too deep":         []byte(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)),
}

// writeFiles writes each text into a file of its own.
func writeFiles(tb testing.TB, texts ...string) []string {
	tb.Helper()
	dir := tb.TempDir()
	files := make([]string, len(texts))
	for i, text := range texts {
		files[i] = filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(files[i], []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return files
}

// checker is a part of a configuration.
type checker interface {
	Check(fault func(field, problem string))
}

// wantFaults checks which fields of a configuration have faults, and that none of these shows a secret.
func wantFaults(t *testing.T, name string, config checker, want []string) {
	t.Helper()
	var got []string
	config.Check(func(field, problem string) {
		got = append(got, field)
		if problem == "" || strings.Contains(problem, planted) {
			t.Errorf("%s: got the problem %q, want one that holds nothing secret", name, problem)
		}
	})
	if !slices.Equal(got, want) {
		t.Errorf("%s: got faults in %q, want %q", name, got, want)
	}
}
