package catalog

import (
	"context"

	"skein/meta"
)

// Version is the catalog's.
func (s *Service) Version(ctx context.Context) (meta.Semver, error) {
	return s.Catalog.CatalogVersion(ctx)
}

// Changes are the last changes, the newest first: of one table if it is named,
// and limit at most.
func (s *Service) Changes(ctx context.Context, table string, limit int) ([]meta.Change, error) {
	looked := limit
	if table != "" {
		looked = meta.HistoryMax
	}
	all, err := s.Catalog.History(ctx, looked)
	if err != nil || table == "" {
		return all, err
	}
	var some []meta.Change
	for _, c := range all {
		if (c.Table == table || c.Table == "") && len(some) < limit {
			some = append(some, c)
		}
	}
	return some, nil
}

// Members are the nodes that the catalog knows, those that left included.
func (s *Service) Members(ctx context.Context) ([]meta.Node, error) { return s.Catalog.Nodes(ctx) }

// Ring is the stored ring.
func (s *Service) Ring(ctx context.Context) (meta.Ring, error) { return s.Catalog.Ring(ctx) }

// Share is the part of all ids that a node owns.
type Share struct {
	Node   string
	Points int
	Share  float64 // 0 to 1
}

// Shares are those of the nodes on a ring, by node.
func Shares(r meta.Ring) []Share {
	const circle = 1 << 52 // hashes lie below
	at := map[string]int{}
	var shares []Share
	for i, node := range r.Nodes() {
		at[node] = i
		shares = append(shares, Share{Node: node})
	}
	for i, p := range r.Points {
		var before uint64
		if i > 0 {
			before = r.Points[i-1].Hash
		}
		owned := float64(p.Hash - before)
		if i == 0 { // and what lies behind the last point
			owned = float64(p.Hash) + circle - float64(r.Points[len(r.Points)-1].Hash)
		}
		s := &shares[at[p.Node]]
		s.Points++
		s.Share += owned / circle
	}
	return shares
}
