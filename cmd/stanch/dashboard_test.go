package main_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// panel is what these tests read of a panel of the dashboard.
type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Datasource  struct {
		UID string `json:"uid"`
	} `json:"datasource"`
	GridPos     struct{ X, Y, W, H int } `json:"gridPos"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []struct {
		Expr       string `json:"expr"`
		Datasource struct {
			UID string `json:"uid"`
		} `json:"datasource"`
	} `json:"targets"`
}

// overlaps reports whether two panels want the same place.
func (p panel) overlaps(o panel) bool {
	a, b := p.GridPos, o.GridPos
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

func panels(t *testing.T) []panel {
	t.Helper()
	var dashboard struct {
		Panels []panel `json:"panels"`
	}
	if err := json.Unmarshal([]byte(fromTop(t, "deploy/grafana/stanch.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	return dashboard.Panels
}

// TestDashboard wants of each panel a title, a description, a unit, a place of its own, and queries that follow the
// chosen data source and its scrape interval.
func TestDashboard(t *testing.T) {
	fixedRate := regexp.MustCompile(`rate\([^()]*\[\d`)
	all := panels(t)
	for i, p := range all {
		for _, other := range all[:i] {
			if p.ID == other.ID || p.overlaps(other) {
				t.Errorf("%s and %s have the same id or place", p.Title, other.Title)
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			t.Errorf("panel %d %q lacks a title, description, unit or query", p.ID, p.Title)
		}
		for _, target := range p.Targets {
			if p.Datasource.UID != "${datasource}" || target.Datasource.UID != "${datasource}" {
				t.Errorf("%s does not follow the chosen data source", p.Title)
			}
			if fixedRate.MatchString(target.Expr) || strings.Contains(target.Expr, "irate(") {
				t.Errorf("%s: the window of a rate is $__rate_interval: %s", p.Title, target.Expr)
			}
		}
	}
}
