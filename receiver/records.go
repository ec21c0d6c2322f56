package receiver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"stanch/receiver/leak"
)

// Fields names the fields of a record: what its vendor calls them. Only a token is demanded. An empty name is that of no
// field.
type Fields struct{ Token, Type, URL, Place string }

// ParseRecords reads a delivery that is a JSON array of records, as the feeds with tokens in them are. It reads them one by
// one, so that a bad one is a Bad and no more; fields that have no name are passed over. The type is not demanded and never
// trusted: GitHub has sent types swapped, and keys are found by their value. Of errors of the decoder nothing is passed on,
// because they quote the body.
func ParseRecords(body []byte, names Fields) (Parsed, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if start, err := decoder.Token(); err != nil || start != json.Delim('[') {
		return Parsed{}, fmt.Errorf("%w: it is no array", ErrFormat)
	}
	var parsed Parsed
	for n := 0; decoder.More(); n++ {
		if n == MaxRecords {
			return Parsed{}, ErrTooMany
		}
		var raw json.RawMessage
		if decoder.Decode(&raw) != nil {
			return Parsed{}, fmt.Errorf("%w: it breaks off after %d records", ErrFormat, n)
		}
		names.add(&parsed, raw)
	}
	if _, err := decoder.Token(); err != nil {
		return Parsed{}, fmt.Errorf("%w: the array does not end", ErrFormat)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return Parsed{}, fmt.Errorf("%w: something follows the array", ErrFormat)
	}
	return parsed, nil
}

func (f Fields) add(parsed *Parsed, raw json.RawMessage) {
	content, problem := f.parse(raw)
	if problem != "" {
		parsed.Bad = append(parsed.Bad, Bad{Raw: leak.NewSecret(string(raw)), Reason: problem})
		return
	}
	parsed.Found = append(parsed.Found, content)
}

// parse reads one record, or says in words that hold nothing of it what is wrong.
func (f Fields) parse(raw json.RawMessage) (c leak.Content, problem string) {
	fields := map[string]string{f.Token: "", f.Type: "", f.URL: "", f.Place: ""}
	delete(fields, "")
	if problem := readFields(raw, fields); problem != "" {
		return leak.Content{}, problem
	}
	token := fields[f.Token]
	switch {
	case token == "":
		return leak.Content{}, "the record has no token"
	case strings.ContainsRune(token, utf8.RuneError):
		return leak.Content{}, "the token is not valid text" // encoding/json puts U+FFFD for half a surrogate pair
	case strings.ContainsRune(token, 0):
		return leak.Content{}, "the token holds a zero character"
	}
	return leak.Content{
		Secret: leak.NewSecret(token),
		Type:   fields[f.Type],
		URL:    fields[f.URL],
		Place:  strings.ToLower(fields[f.Place]),
	}, ""
}

// readFields fills in the fields that are asked for. Unlike encoding/json it takes their names exactly, and refuses a
// field that is given twice: another reader of the same record could take the other value.
func readFields(raw json.RawMessage, fields map[string]string) (problem string) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return "the record is no object"
	}
	seen := make(map[string]bool, len(fields))
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return "the record is no object"
		}
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return "the record is no object"
		}
		field, _ := name.(string)
		if _, wanted := fields[field]; !wanted {
			continue
		}
		if seen[field] {
			return "the record has the field " + field + " twice"
		}
		seen[field] = true
		text, problem := readText(value)
		if problem != "" {
			return "the field " + field + " " + problem
		}
		fields[field] = text
	}
	return ""
}

// readText reads a string; null is an empty one.
func readText(value json.RawMessage) (text, problem string) {
	if !utf8.Valid(value) {
		return "", "is not valid UTF-8"
	}
	if json.Unmarshal(value, &text) != nil {
		return "", "is no string"
	}
	return text, ""
}
