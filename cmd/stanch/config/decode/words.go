package decode

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/lithammer/fuzzysearch/fuzzy"
)

// OneOf says that a value must be one of a few words, and suggests the one that was probably meant.
func OneOf(words []string, written string) string {
	last := len(words) - 1
	if last < 1 {
		return "must be " + strings.Join(words, "") + Suggestion(written, words)
	}
	return "must be " + strings.Join(words[:last], ", ") + " or " + words[last] + Suggestion(written, words)
}

// farthest is the largest edit distance at which a word is taken for a misspelling of another.
const farthest = 2

// Suggestion returns the end of a sentence that names the word that was probably meant, or nothing.
func Suggestion(written string, known []string) string {
	best, distance := "", farthest+1
	for _, word := range known {
		limit := min(distance, len(word)/2+1)
		if n := fuzzy.LevenshteinDistance(strings.ToLower(written), word); n < limit {
			best, distance = word, n
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// Reason says what is wrong with a file, without its path, which may be a secret in the wrong place.
func Reason(err error) string {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return at.Err.Error()
	}
	return "an unexpected error"
}
