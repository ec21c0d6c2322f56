package sourcetest

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// ReadObject reads a JSON object from a file.
func ReadObject(tb testing.TB, file string) map[string]any {
	tb.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(data, &object); err != nil {
		tb.Fatal(err)
	}
	return object
}

// Encode writes an object as JSON.
func Encode(tb testing.TB, object map[string]any) string {
	tb.Helper()
	data, err := json.Marshal(object)
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

// Fields lists the fields of an object and of the objects within it, as paths with dots.
func Fields(object map[string]any) []string {
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(object)) {
		paths = append(paths, name)
		if inner, ok := object[name].(map[string]any); ok {
			for _, path := range Fields(inner) {
				paths = append(paths, name+"."+path)
			}
		}
	}
	return paths
}

// With is a copy of an object in which the field at a path has another value.
func With(object map[string]any, path string, value any) map[string]any {
	changed := maps.Clone(object)
	name, rest, deeper := strings.Cut(path, ".")
	if deeper {
		value = With(object[name].(map[string]any), rest, value)
	}
	changed[name] = value
	return changed
}

// Without is a copy of an object in which the field at a path is missing.
func Without(object map[string]any, path string) map[string]any {
	changed := maps.Clone(object)
	name, rest, deeper := strings.Cut(path, ".")
	if deeper {
		changed[name] = Without(object[name].(map[string]any), rest)
	} else {
		delete(changed, name)
	}
	return changed
}
