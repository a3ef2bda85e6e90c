package planner

import (
	"hash/fnv"
	"sort"
)

// imbalanceMax is how much more than its fair share of bytes a worker is given
// before a file goes to the next one in its order of preference.
const imbalanceMax = 1.05

// split shares files out over workers: each file to the worker that it always
// prefers (so that caches stay warm), unless that one has its share already.
// Workers without files are left out.
func split(files []File, workers []string) map[string][]File {
	var total int64
	for _, f := range files {
		total += weight(f)
	}
	limit := int64(imbalanceMax*float64(total)/float64(len(workers))) + 1
	order := append([]File(nil), files...)
	sort.SliceStable(order, func(i, j int) bool { return weight(order[i]) > weight(order[j]) })
	load := make(map[string]int64, len(workers))
	parts := make(map[string][]File, len(workers))
	for _, f := range order {
		w := choose(f, workers, load, limit)
		load[w] += weight(f)
		parts[w] = append(parts[w], f)
	}
	for _, p := range parts {
		sort.Slice(p, func(i, j int) bool { return p[i].Path < p[j].Path })
	}
	return parts
}

// weight is the work that a file is; opening it counts as a few kilobytes.
func weight(f File) int64 { return f.Bytes + 16<<10 }

// choose returns the worker that the file prefers among those with room; if
// none has, the least loaded.
func choose(f File, workers []string, load map[string]int64, limit int64) string {
	best, least := "", workers[0]
	var score uint64
	for _, w := range workers {
		if load[w] < load[least] {
			least = w
		}
		if load[w]+weight(f) > limit {
			continue
		}
		if s := affinity(w, f.Path); best == "" || s > score {
			best, score = w, s
		}
	}
	if best == "" {
		return least
	}
	return best
}

// affinity is the rendezvous hash of a worker and a key.
func affinity(worker, key string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(worker))
	h.Write([]byte{0})
	h.Write([]byte(key))
	x := h.Sum64() // fnv's high bits are weak for short keys; mix them
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}

// prefer returns the worker that keeps a set of tables warm.
func prefer(tables []string, workers []string) string {
	key := ""
	for _, t := range tables {
		key += t + "\x00"
	}
	best := workers[0]
	for _, w := range workers[1:] {
		if affinity(w, key) > affinity(best, key) {
			best = w
		}
	}
	return best
}
