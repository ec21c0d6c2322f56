// Package secretfile reads the files that hold credentials of ours: configurations name files, so that no secret stands in
// them. Errors are worded to follow the name of the field. They hold neither what a file holds nor its path, which may be the
// secret in the wrong place.
package secretfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode"

	"stanch/receiver/leak"
)

// maxLine is how large the file of a one-line secret may be, in bytes.
const maxLine = 4 << 10

// Read returns what a file holds, which may have so many bytes.
func Read(path string, most int64) ([]byte, error) {
	if path == "" {
		return nil, errors.New("is missing")
	}
	data, err := read(path, most)
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		err = wrapped.Err
	}
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("names a file of more than %d bytes", most)
	}
	return data, nil
}

// read reads a byte more than a file may have.
func read(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, most+1))
}

// Line reads a secret of one line, 4096 bytes at most. Space around it is dropped; space within it is part of it.
func Line(path string) (leak.Secret, error) {
	data, err := Read(path, maxLine)
	if err != nil {
		return leak.Secret{}, err
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		return leak.Secret{}, errors.New("names an empty file")
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return leak.Secret{}, errors.New("names a file that is not one line")
	}
	return leak.NewSecret(text), nil
}

// Token reads a secret as [Line] does, and one that can be sent in a header.
func Token(path string) (leak.Secret, error) {
	token, err := Line(path)
	if err == nil && !Sendable(token.Reveal()) {
		return leak.Secret{}, errors.New("names a file that is not one line with a token")
	}
	return token, err
}

// Sendable reports whether a value can be sent in a header field without being changed into another, or into none: it is of
// printable ASCII characters, at least one, and none of them is a space.
func Sendable(value string) bool {
	return value != "" && !strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' })
}
