package leak

import (
	"encoding/json"
	"errors"
)

// Version is that of the messages which this program writes. Fields are only ever added, and readers pass over those that
// they do not know, so an older program reads what a newer one writes. A message of which an older one would make the wrong
// thing has a higher version, and is left to those who know it.
const Version = 1

// Errors of messages that cannot be read. They hold nothing of the message.
var (
	// ErrNewer means that a newer program wrote the message.
	ErrNewer = errors.New("its version is newer than this program")
	// ErrDamaged means that nobody can read it.
	ErrDamaged = errors.New("it is damaged")
)

// Read decodes a message: an [Alert], a [Pointer], a [DeadLetter] or an [Entry]. It returns ErrNewer or ErrDamaged.
func Read[T Alert | Pointer | DeadLetter | Entry](data []byte) (message T, err error) {
	err = json.Unmarshal(data, &message)
	var head struct {
		V int `json:"v"`
	}
	_ = json.Unmarshal(data, &head) // without a version it is an old one, or damaged
	switch {
	case head.V > Version:
		return *new(T), ErrNewer
	case err != nil:
		return *new(T), ErrDamaged
	}
	return message, nil
}
