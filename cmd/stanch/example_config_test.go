package main_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	stanch "stanch/cmd/stanch"
	"stanch/cmd/stanch/config"
)

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// uncomment puts every commented field of the example in force.
func uncomment(example string) string {
	return regexp.MustCompile(`(?m)^( *)# ?([a-z_]+: |- \{)`).ReplaceAllString(example, "$1$2")
}

// Each secret file that the example names is made where a copy of it is.
func TestExample(t *testing.T) {
	text, err := os.ReadFile("../../deploy/stanch.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for _, match := range regexp.MustCompile(`[a-z_]*_files?: \[?([^\s,\]}]+)`).FindAllStringSubmatch(string(text), -1) {
		content := "something-long-enough\n"
		switch {
		case filepath.Ext(match[1]) == ".yaml":
			content = "{}\n"
		case strings.Contains(match[0], "signing_token"), strings.HasPrefix(match[0], "secret_file:"):
			content = "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))) + "\n"
		}
		writeFile(t, match[1], content)
	}
	writeFile(t, "stanch.yaml", string(text))
	if _, faults := config.Load("stanch.yaml", stanch.Adapters); faults != nil {
		t.Errorf("got faults %v", faults)
	}
	writeFile(t, "uncommented.yaml", uncomment(string(text)))
	if _, faults := config.Load("uncommented.yaml", stanch.Adapters); faults != nil {
		t.Errorf("with every commented field in force: got faults %v", faults)
	}
}

// An operator starts from the example, so each field must be there.
func TestExampleNamesEveryField(t *testing.T) {
	example, err := os.ReadFile("../../deploy/stanch.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct {
			return
		}
		for i := range typ.NumField() {
			name := typ.Field(i).Tag.Get("yaml")
			if name != "-" && !strings.Contains(string(example), name+":") {
				t.Errorf("the example does not name %s of %s", name, typ)
			}
			walk(typ.Field(i).Type)
		}
	}
	walk(reflect.TypeFor[config.Config]())
	for _, adapter := range everyAdapter() {
		walk(reflect.TypeOf(adapter))
	}
}

// everyAdapter returns an empty adapter part of an entry for each type of source, issuer and notifier.
func everyAdapter() (all []any) {
	for _, made := range stanch.Adapters.Sources {
		all = append(all, made())
	}
	for _, made := range stanch.Adapters.Issuers {
		all = append(all, made())
	}
	for _, made := range stanch.Adapters.Notifiers {
		all = append(all, made())
	}
	return all
}

// TestComposeConfigurations wants the configurations of the compose files to be right but for files that are elsewhere.
func TestComposeConfigurations(t *testing.T) {
	for _, file := range []string{"stanch.yaml", "cluster/stanch.yaml"} {
		_, faults := config.Load(filepath.Join("../../deploy/compose", file), stanch.Adapters)
		for _, fault := range faults {
			if !strings.HasSuffix(fault.Text, "_file: no such file or directory") {
				t.Errorf("%s: %v", file, fault)
			}
		}
		if len(faults) == 0 {
			t.Errorf("%s names no file", file)
		}
	}
}
