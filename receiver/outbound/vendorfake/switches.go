package vendorfake

import "sync"

// Switchboard holds the positions of a fake's switches, which choose between answers that the vendor does not document.
// Safe for concurrent use.
type Switchboard[S any] struct {
	complete func(S) S

	mu  sync.Mutex
	now S
}

// NewSwitchboard makes a switchboard; complete replaces the zero fields of positions by the defaults.
func NewSwitchboard[S any](start S, complete func(S) S) *Switchboard[S] {
	return &Switchboard[S]{complete: complete, now: complete(start)}
}

// SetSwitches changes the positions; zero fields are set to their defaults.
func (b *Switchboard[S]) SetSwitches(s S) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.complete(s)
}

// Switches returns the current positions.
func (b *Switchboard[S]) Switches() S {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

// Positions returns the default position of every switch in S, and then each other position of each switch with the rest at
// their defaults: every answer occurs, in as few runs as possible. Choices are the positions of each switch, the default
// first.
func Positions[S any](defaults S, choices [][]func(*S)) []S {
	positions := []S{defaults}
	for _, others := range choices {
		for _, choose := range others[1:] {
			s := defaults
			choose(&s)
			positions = append(positions, s)
		}
	}
	return positions
}

// Combinations returns every combination of positions.
func Combinations[S any](defaults S, choices [][]func(*S)) []S {
	all := []S{defaults}
	for _, positions := range choices {
		var next []S
		for _, s := range all {
			for _, choose := range positions {
				choose(&s)
				next = append(next, s)
			}
		}
		all = next
	}
	return all
}
