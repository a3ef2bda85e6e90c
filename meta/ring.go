package meta

// Ring is a consistent-hash ring of workers with virtual nodes.
type Ring struct {
	Points []Point // ordered by Hash
}

// Point is one virtual node.
type Point struct {
	Hash uint64 // below 2^52, so that a Redis score holds it exactly
	Node string
}
