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
	points := map[string]int{}
	for _, p := range r.Points {
		points[p.Node]++
	}
	owned := r.Place().Shares()
	var shares []Share
	for _, node := range r.Nodes() {
		shares = append(shares, Share{Node: node, Points: points[node], Share: owned[node]})
	}
	return shares
}
