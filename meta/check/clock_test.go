package check_test

import (
	"context"
	"testing"
	"time"

	"skein/coordinator/repair"
	"skein/meta"
	"skein/meta/check"
	"skein/meta/redismeta"
)

// ahead is a catalog whose clock is.
type ahead struct {
	*redismeta.Store
	by time.Duration
}

func (a ahead) Nodes(ctx context.Context) ([]meta.Node, error) {
	nodes, err := a.Store.Nodes(ctx)
	for i := range nodes {
		nodes[i].LastHeartbeat = nodes[i].LastHeartbeat.Add(a.by)
	}
	return nodes, err
}

// TestAgesByTheCatalogsClock: how old an object is does not depend on the clock
// of the node that checks.
func TestAgesByTheCatalogsClock(t *testing.T) {
	h := newHouse(t)
	f := h.fill("users")
	path := meta.ObjectPath("users", "id-0", day1, 1_700_000_000_000_000_000)
	h.put(h.main, path, h.get(h.main, f[0].Path))
	o := check.Options{AllFooters: true} // an object may be a day old without an entry
	if r := h.wantFound(o); r.Young != 1 {
		t.Errorf("%d young", r.Young)
	}
	h.checks = repair.New(repair.Deps{Catalog: ahead{h.catalog, 25 * time.Hour}, Primary: h.main})
	h.wantFound(o, "orphan-object "+path)
}
