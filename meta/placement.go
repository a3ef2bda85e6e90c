package meta

import (
	"slices"
	"sort"
)

// Slots is how many equal parts a ring is divided into. What falls into one
// slot has one owner.
const Slots = 1 << slotBits

const slotBits = 14

// Of the slots a node has at most 5/4 of an even share.
const (
	loadMaxNumerator   = 5
	loadMaxDenominator = 4
)

// Placement says which node owns what. It depends on the ring alone, so nodes
// that see one ring agree. It must not be changed.
type Placement struct {
	ring   Ring
	owners []string // by slot; none if the ring is empty
}

// Place gives each slot to the next node clockwise, as far as that has room:
// what a node has too much goes to the next that has not. So a node that joins
// or leaves moves little beyond its own share.
func (r Ring) Place() *Placement {
	p := &Placement{ring: r}
	nodes := len(r.Nodes())
	if nodes == 0 {
		return p
	}
	most := (Slots*loadMaxNumerator + nodes*loadMaxDenominator - 1) / (nodes * loadMaxDenominator)
	p.owners = make([]string, Slots)
	load := make(map[string]int, nodes)
	var over []int
	for slot := range p.owners {
		if home := r.Points[r.next(position(slot))].Node; load[home] < most {
			p.owners[slot] = home
			load[home]++
		} else {
			over = append(over, slot)
		}
	}
	for _, slot := range over {
		at := r.next(position(slot))
		for load[r.Points[at].Node] >= most {
			at = (at + 1) % len(r.Points)
		}
		p.owners[slot] = r.Points[at].Node
		load[p.owners[slot]]++
	}
	return p
}

// position of a slot on the ring: its start.
func position(slot int) uint64 { return uint64(slot) << (hashBits - slotBits) }

// next is the first point at a hash or after it. The ring must not be empty.
func (r Ring) next(hash uint64) int {
	i := sort.Search(len(r.Points), func(i int) bool { return r.Points[i].Hash >= hash })
	return i % len(r.Points)
}

// Owners returns n distinct nodes for the table's id: its owner, then those
// that take over, clockwise. Fewer if the ring has fewer; none if it is empty.
func (p *Placement) Owners(table, id string, n int) []string {
	if len(p.owners) == 0 || n <= 0 {
		return nil
	}
	slot := int(keyHash(table, id) >> (hashBits - slotBits))
	owners := append(make([]string, 0, n), p.owners[slot])
	start := p.ring.next(position(slot))
	for i := range p.ring.Points {
		if len(owners) == n {
			break
		}
		if node := p.ring.Points[(start+i)%len(p.ring.Points)].Node; !slices.Contains(owners, node) {
			owners = append(owners, node)
		}
	}
	return owners
}

// Owners is what Place().Owners is, for who asks once.
func (r Ring) Owners(table, id string, n int) []string { return r.Place().Owners(table, id, n) }

// Shares is the part of all ids, 0 to 1, that each node owns.
func (p *Placement) Shares() map[string]float64 {
	shares := map[string]float64{}
	for _, node := range p.owners {
		shares[node] += 1.0 / Slots
	}
	return shares
}

// Ring is what the placement is of.
func (p *Placement) Ring() Ring { return p.ring }
