package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes.
type Size int64

const mebibyte Size = 1 << 20

var units = []struct {
	name  string
	bytes Size
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", mebibyte}, {"KiB", 1 << 10}, {"B", 1}}

var errSize = errors.New("not a size")

// Wanted says what a size looks like.
func (Size) Wanted() string { return "a size such as 25MiB" }

// UnmarshalText reads a size such as 25MiB; a bare number is bytes.
func (s *Size) UnmarshalText(text []byte) error {
	number, factor := string(text), Size(1)
	for _, unit := range units {
		if rest, ok := strings.CutSuffix(number, unit.name); ok {
			number, factor = rest, unit.bytes
			break
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || n > math.MaxInt64/uint64(factor) {
		return errSize
	}
	*s = Size(n) * factor
	return nil
}

// String returns the size in the largest unit of which it is a whole number.
func (s Size) String() string {
	for _, unit := range units {
		if s != 0 && s%unit.bytes == 0 {
			return fmt.Sprintf("%d%s", s/unit.bytes, unit.name)
		}
	}
	return "0B"
}

// About returns the size as people say it, rounded to one digit after the point.
func (s Size) About() string {
	for _, unit := range units {
		if s >= unit.bytes {
			return fmt.Sprintf("%.1f%s", float64(s)/float64(unit.bytes), unit.name)
		}
	}
	return "nothing"
}
