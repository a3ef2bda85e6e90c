package meta

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// Ring is a consistent-hash ring of workers with virtual nodes.
type Ring struct {
	Points []Point // ordered by Hash, then Node
}

// Point is one virtual node.
type Point struct {
	Hash uint64 // below 2^52, so that a Redis score holds it exactly
	Node string
}

// VirtualNodes is how many points each node has on a ring.
const VirtualNodes = 128

const (
	hashBits = 52
	hashMask = 1<<hashBits - 1
)

// NewRing places the nodes on a ring. It depends on the set of ids alone.
func NewRing(ids []string) Ring {
	nodes := slices.Clone(ids)
	slices.Sort(nodes)
	nodes = slices.Compact(nodes)
	var r Ring
	for _, node := range nodes {
		for i := range VirtualNodes {
			h := xxhash.Sum64String(node + "#" + strconv.Itoa(i))
			r.Points = append(r.Points, Point{Hash: h & hashMask, Node: node})
		}
	}
	r.sort()
	return r
}

// Normal returns the ring with its points in order, as NewRing and the
// drivers give it.
func (r Ring) Normal() Ring {
	r.Points = slices.Clone(r.Points)
	r.sort()
	return r
}

// Equal tells whether both rings have the same points.
func (r Ring) Equal(other Ring) bool { return slices.Equal(r.Points, other.Points) }

func (r Ring) sort() {
	slices.SortFunc(r.Points, func(a, b Point) int {
		return cmp.Or(cmp.Compare(a.Hash, b.Hash), cmp.Compare(a.Node, b.Node))
	})
}

// keyHash hashes the pair so that ("ab", "c") and ("a", "bc") differ.
func keyHash(table, id string) uint64 {
	return xxhash.Sum64String(strconv.Itoa(len(table))+":"+table+id) & hashMask
}

// Nodes returns the nodes on the ring, each once, ordered.
func (r Ring) Nodes() []string {
	var nodes []string
	for _, p := range r.Points {
		nodes = append(nodes, p.Node)
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}
