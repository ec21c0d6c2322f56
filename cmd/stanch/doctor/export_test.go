package doctor

import (
	"context"

	"stanch/receiver/leak"
)

// How what was measured of a store is judged.
var (
	JudgeSpace = judgeSpace
	JudgeFlush = judgeFlush
)

// ExamineParts examines parts, each of one name, as doctor does, and returns what was found in their order.
func ExamineParts(ctx context.Context, asks ...func(context.Context) []leak.Finding) []leak.Finding {
	var parts []part
	for _, ask := range asks {
		parts = append(parts, part{"part", ask})
	}
	var found []leak.Finding
	for _, f := range examine(ctx, parts) {
		found = append(found, f.Finding)
	}
	return found
}
