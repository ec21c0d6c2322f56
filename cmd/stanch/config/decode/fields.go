package decode

import (
	"path/filepath"
	"reflect"
	"strings"

	"github.com/prometheus/common/config"
)

// fieldsOf returns the fields of a struct by their YAML names, those of inlined structs included.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || !field.IsExported():
		case options == "inline":
			for inner, value := range fieldsOf(v.Field(i)) {
				fields[inner] = value
			}
		case name == "":
			fields[strings.ToLower(field.Name)] = v.Field(i)
		default:
			fields[name] = v.Field(i)
		}
	}
	return fields
}

// Join returns the path of a field within another; either may be empty.
func Join(path, field string) string {
	if path == "" || field == "" {
		return path + field
	}
	return path + "." + field
}

// parent is the path of what holds a field.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// Resolve returns a path that is written in a file as the process finds it: a relative one starts at the file's own directory.
func Resolve(file, path string) string { return config.JoinDir(filepath.Dir(file), path) }

// namesDirectory reports whether a field holds the path of a directory, judging by its name.
func namesDirectory(path string) bool {
	return strings.HasSuffix(path, ".dir") || strings.HasSuffix(path, "_dir")
}

// NamesFile reports whether a field holds the path of a file, judging by its name.
func NamesFile(path string) bool {
	if i := strings.LastIndexByte(path, '['); i > strings.LastIndexByte(path, '.') {
		return strings.HasSuffix(path[:i], "_files")
	}
	return strings.HasSuffix(path, "_file")
}
