// Package batch reads deliveries that are batches: a JSON array of records, each with a leaked token in it. The partner
// programmes of GitHub and GitLab sign theirs with a published key; GitLab's Token Revocation API sends its own with a
// shared token. One bad record never costs the others.
package batch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"stanch/receiver"
	"stanch/receiver/leak"
)

// Fields are the names that a vendor gives to the fields of a record. Only the token is required in a record. An empty
// name means that the vendor has no such field.
type Fields struct{ Token, Type, URL, Place string }

// Parse reads a batch, record by record, so that a bad one becomes a receiver.Bad and costs no other; fields without a
// name here are skipped. The type is neither required nor trusted: GitHub has sent types swapped, and keys are found by
// their value. The decoder's errors are dropped, because they quote the body.
func (f Fields) Parse(body []byte) (receiver.Parsed, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if start, err := decoder.Token(); err != nil || start != json.Delim('[') {
		return receiver.Parsed{}, fmt.Errorf("%w: it is not an array", receiver.ErrFormat)
	}
	var parsed receiver.Parsed
	for n := 0; decoder.More(); n++ {
		if n == receiver.MaxRecords {
			return receiver.Parsed{}, receiver.ErrTooMany
		}
		var raw json.RawMessage
		if decoder.Decode(&raw) != nil {
			return receiver.Parsed{}, fmt.Errorf("%w: it breaks off after %d records", receiver.ErrFormat, n)
		}
		f.add(&parsed, raw)
	}
	if _, err := decoder.Token(); err != nil {
		return receiver.Parsed{}, fmt.Errorf("%w: the array does not end", receiver.ErrFormat)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return receiver.Parsed{}, fmt.Errorf("%w: something follows the array", receiver.ErrFormat)
	}
	return parsed, nil
}

// Reread reads the record of a receiver.Bad again, which a later version may be able to. Its error says why it still
// cannot be read, in words that hold nothing of the record. The body of an event is not a record: without its header
// nobody can read it.
func (f Fields) Reread(record leak.Secret) (leak.Content, error) {
	parsed, err := f.Parse([]byte("[" + record.Reveal() + "]"))
	switch {
	case err != nil:
		return leak.Content{}, fmt.Errorf("reading the record again: %w", err)
	case len(parsed.Bad) > 0:
		return leak.Content{}, fmt.Errorf("reading the record again: %s", parsed.Bad[0].Reason)
	case len(parsed.Found) != 1:
		return leak.Content{}, errors.New("reading the record again: it holds no alert, or several")
	}
	return parsed.Found[0], nil
}

func (f Fields) add(parsed *receiver.Parsed, raw json.RawMessage) {
	content, problem := f.parse(raw)
	if problem != "" {
		parsed.Bad = append(parsed.Bad, receiver.Bad{Raw: leak.NewSecret(string(raw)), Reason: problem})
		return
	}
	parsed.Found = append(parsed.Found, content)
}

// parse reads one record, or says what is wrong with it, in words that hold nothing of it.
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
		return leak.Content{}, "the token is not valid text" // encoding/json replaces half a surrogate pair with U+FFFD
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

// readFields fills in the wanted fields. Unlike encoding/json it compares their names exactly, and it refuses a field
// that is given twice: another reader of the same record could take the other value.
func readFields(raw json.RawMessage, fields map[string]string) (problem string) {
	const noObject = "the record is not an object"
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return noObject
	}
	seen := make(map[string]bool, len(fields))
	for decoder.More() {
		name, err := decoder.Token()
		var value json.RawMessage
		if err != nil || decoder.Decode(&value) != nil {
			return noObject
		}
		field, _ := name.(string)
		if _, wanted := fields[field]; !wanted {
			continue
		}
		text, problem := readText(value)
		switch {
		case seen[field]:
			return "the record has the field " + field + " twice"
		case problem != "":
			return "the field " + field + " " + problem
		}
		seen[field], fields[field] = true, text
	}
	return ""
}

// readText reads a string; null is an empty one.
func readText(value json.RawMessage) (text, problem string) {
	if !utf8.Valid(value) {
		return "", "is not valid UTF-8"
	}
	if json.Unmarshal(value, &text) != nil {
		return "", "is not a string"
	}
	return text, ""
}
