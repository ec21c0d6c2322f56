package decode

import (
	"errors"
	"io/fs"
	"strings"

	"stanch/receiver/leak/expr"
)

// OneOf says that a value must be one of a few words, and suggests the one that was probably meant.
func OneOf(words []string, written string) string {
	last := len(words) - 1
	if last < 1 {
		return "must be " + strings.Join(words, "") + expr.Suggestion(written, words)
	}
	return "must be " + strings.Join(words[:last], ", ") + " or " + words[last] + expr.Suggestion(written, words)
}

// Reason says what is wrong with a file, without its path, which may be a secret in the wrong place.
func Reason(err error) string {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return at.Err.Error()
	}
	return "an unexpected error"
}
