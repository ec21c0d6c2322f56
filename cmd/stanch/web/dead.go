package web

import (
	"net/http"

	"stanch/dispositions/deadletter"
)

// maxDead is how many dead letters are listed.
const maxDead = 200

// graves are the newest dead letters, and how many there are.
type graves struct {
	List  []deadletter.Dead
	Count int
}

// More is how many are not listed.
func (g graves) More() int { return g.Count - len(g.List) }

func (p *page) dead(r *http.Request, _ string) (view, error) {
	list, err := p.Dead.List(r.Context(), "", maxDead)
	if err != nil {
		return view{}, err
	}
	return view{template: "dead", data: graves{list, max(len(list), p.standing().Dead)}}, nil
}
