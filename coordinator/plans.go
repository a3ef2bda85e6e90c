//go:build duckdb_arrow

package coordinator

import (
	"strings"

	"github.com/maypok86/otter/v2"

	"skein/planner"
)

// plansBytes is how much the remembered plans may take, about. All are forgotten
// when a table's files change, so that none keeps an old list of files alive.
const plansBytes = 64 << 20

const (
	planBytes = 8 << 10 // what a plan takes without its files
	fileBytes = 144     // and each file that it names
)

// plans remembers the plans of statements over tables that stay as they are.
type plans struct {
	cache *otter.Cache[string, remembered]
}

// remembered is a plan and the tables that it was made for. Neither changes.
type remembered struct {
	plan   *planner.Plan
	tables map[string]*tableView
}

func newPlans() *plans {
	return &plans{otter.Must(&otter.Options[string, remembered]{
		MaximumWeight: plansBytes,
		Weigher: func(key string, r remembered) uint32 {
			return uint32(min(planBytes+4*len(key)+fileBytes*r.plan.Files(), plansBytes))
		},
	})}
}

// planKey is what a plan depends on but the tables.
func planKey(sql string, params, workers []string) string {
	return strings.Join([]string{sql, strings.Join(params, "\x01"), strings.Join(workers, "\x01")}, "\x00")
}

// get returns the plan of a statement over the tables as they are now.
func (p *plans) get(key string, tables map[string]*tableView) (*planner.Plan, bool) {
	known, ok := p.cache.GetIfPresent(key)
	if !ok || len(known.tables) != len(tables) {
		return nil, false
	}
	for name, v := range tables {
		if w := known.tables[name]; w == nil || !v.same(w) {
			return nil, false
		}
	}
	return known.plan, true
}

// put remembers a plan, if it can be good for another time.
func (p *plans) put(key string, plan *planner.Plan, tables map[string]*tableView) {
	if plan.Moment {
		return
	}
	for _, v := range tables {
		if v.listed == nil || len(v.hot) > 0 {
			return
		}
	}
	p.cache.Set(key, remembered{plan, tables})
}

func (p *plans) forget() { p.cache.InvalidateAll() }

// same tells that two views are of the same files, read in the same way, and
// that no row is unflushed.
func (v *tableView) same(w *tableView) bool {
	return v.listed == w.listed && v.listed != nil && v.UID == w.UID && v.SchemaVersion() == w.SchemaVersion() && len(v.hot)+len(w.hot) == 0
}
