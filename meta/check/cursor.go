package check

import (
	"iter"
	"strings"

	"skein/internal/fault"
)

// cursor goes over a listing, which is ordered by key.
type cursor struct {
	next func() (Object, error, bool)
	stop func()
	head Object
	has  bool
	err  error
}

// newCursor stands on the first object. The caller calls stop.
func newCursor(list iter.Seq2[Object, error]) *cursor {
	c := &cursor{}
	c.next, c.stop = iter.Pull2(list)
	c.pop()
	return c
}

// noCursor is a listing of nothing.
func noCursor() *cursor { return newCursor(func(func(Object, error) bool) {}) }

// pop goes on to the next object.
func (c *cursor) pop() {
	last := c.head.Key
	c.head, c.err, c.has = c.next()
	if c.err == nil && c.has && c.head.Key <= last {
		c.err = fault.Newf(fault.Internal, "object %q is listed after %q", c.head.Key, last)
	}
	c.has = c.has && c.err == nil
}

// under tells whether it stands on an object whose key begins with prefix.
func (c *cursor) under(prefix string) bool {
	return c.has && strings.HasPrefix(c.head.Key, prefix)
}

// before tells whether it stands on an object whose key comes before prefix
// and all keys that begin with it.
func (c *cursor) before(prefix string) bool { return c.has && c.head.Key < prefix }
