package settings

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"stanch/cmd/stanch/config/decode"
)

// digest changes when a field of a configuration entry changes, or the content of a file that it names.
type digest [sha256.Size]byte

func digestOf(entry any) (d digest, err error) {
	sum := sha256.New()
	if err := digestInto(sum, reflect.ValueOf(entry), ""); err != nil {
		return d, err
	}
	return digest(sum.Sum(nil)), nil
}

func digestInto(w io.Writer, v reflect.Value, path string) error {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return digestInto(w, v.Elem(), path)
	case reflect.Struct:
		return digestFields(w, v, path)
	case reflect.Slice:
		for i := range v.Len() {
			if err := digestInto(w, v.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		return nil
	}
	_, _ = fmt.Fprintf(w, "%s %q\n", path, fmt.Sprint(v)) // a hash takes everything
	if v.Kind() == reflect.String && decode.NamesFile(path) && v.String() != "" {
		return digestFile(w, v.String(), path)
	}
	return nil
}

func digestFields(w io.Writer, v reflect.Value, path string) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name == "-" { // the adapter, whose fields are the entry's
			name = ""
		}
		if err := digestInto(w, v.Field(i), decode.Join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

func digestFile(w io.Writer, name, path string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("reading %s: %s", path, decode.Reason(err))
	}
	_, _ = fmt.Fprintf(w, "%q\n", data)
	return nil
}
