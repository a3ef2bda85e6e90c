package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/lead"
)

// checker watches what takes effect in the catalog. But for mayFail it is
// called by the schedule's own goroutine only.
type checker struct {
	world   *world
	token   map[string]int64     // the greatest of each operation
	owner   map[int64]string     // of the leader's tokens
	beats   map[string]time.Time // the last of each node
	removed map[string]bool      // paths that have left the index
	applied map[string]bool      // units that were committed
	givenUp map[string]bool      // units that readers need not see before they are committed
	version meta.Semver          // of the catalog
	changes []meta.Semver        // that took effect, oldest first
	answers int                  // of readers
	stale   int                  // writes that were refused
	mu      sync.Mutex
	failed  []string
}

func newChecker(w *world) *checker {
	return &checker{world: w, token: map[string]int64{}, owner: map[int64]string{}, beats: map[string]time.Time{},
		removed: map[string]bool{}, givenUp: map[string]bool{}, applied: map[string]bool{}, version: meta.FirstVersion}
}

func (c *checker) fail(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.failed) < 5 {
		c.failed = append(c.failed, fmt.Sprintf("after %v: ", time.Since(c.world.start))+fmt.Sprintf(format, args...))
	}
}

// unknown tells errors after which a change may have been made, or not.
func unknown(err error) bool {
	code := fault.CodeOf(err)
	return code == fault.Unavailable || code == fault.Canceled || code == fault.DeadlineExceeded
}

// mayFail takes errors that only say that others were faster, or nothing.
func (c *checker) mayFail(what string, err error) {
	if !unknown(err) && !errors.Is(err, meta.ErrConflict) {
		c.fail("%s: %v", what, err)
	}
}

// after looks at the catalog after a call was carried out.
func (c *checker) after(ctx context.Context, op string, err error) {
	if errors.Is(err, meta.ErrFenced) {
		c.stale++
	}
	if err != nil || op != "record" && op != "update" && op != "create" {
		return
	}
	c.fenced(ctx, op)
	v, err := c.world.catalog.CatalogVersion(context.Background())
	if err != nil || v.Compare(c.version) <= 0 {
		c.fail("%s led from version %s to %s: %v", op, c.version, v, err)
	}
	c.version = v
	c.changes = append(c.changes, v)
}

// fenced wants a write that took effect to be of the newest term.
func (c *checker) fenced(ctx context.Context, op string) {
	w := meta.WriterOf(ctx)
	if w.Operation != "" && w.Token != c.token[w.Operation] {
		c.fail("a %s of term %d took effect in term %d", op, w.Token, c.token[w.Operation])
	}
}

func (c *checker) granted(operation, owner string, token int64, err error) {
	if err != nil {
		return
	}
	if token < c.token[operation] {
		c.fail("%s got token %d of %s after %d", owner, token, operation, c.token[operation])
	}
	if other := c.owner[token]; other != "" && other != owner {
		c.fail("%s and %s got the same token", other, owner)
	}
	c.token[operation], c.owner[token] = token, owner
}

func (c *checker) beat(id string, err error) {
	if err == nil {
		c.beats[id] = time.Now()
	}
}

// out wants a node that others take out of service to have been silent.
func (c *checker) out(by *process, id string) {
	if silent := time.Since(c.beats[id]); by.id != id && silent <= beatExpiry {
		c.fail("%s took %s out of service, which beat %v before", by.id, id, silent)
	}
}

// committed wants each row once in the index, and nothing back in it that had
// left.
func (c *checker) committed(ctx context.Context, m meta.Commit, err error) {
	if err != nil {
		return
	}
	known := c.applied[m.Unit]
	c.applied[m.Unit] = true
	l, err := c.world.catalog.Listing(context.Background(), table)
	if err != nil {
		c.fail("listing: %v", err)
		return
	}
	if !known {
		c.fenced(ctx, "commit")
		for _, path := range m.Remove {
			c.removed[path] = true
		}
	}
	for _, f := range l.Files {
		if c.removed[f.Path] {
			c.fail("%s was removed and is in the index again, by unit %s", f.Path, m.Unit)
		}
	}
	c.rows(l, nil)
}

// rows are those that a reader sees, each once.
func (c *checker) rows(l meta.Listing, hot []hotUnit) map[int]bool {
	found := map[int]bool{}
	add := func(where string, rows []int) {
		for _, r := range rows {
			if found[r] {
				c.fail("row %d is there twice, the second time in %s", r, where)
			}
			found[r] = true
		}
	}
	for _, f := range l.Files {
		add(f.Path, c.world.objects[f.Path])
	}
	for _, u := range hot {
		if !l.Units[u.unit] {
			add("unit "+u.unit, u.rows)
		}
	}
	return found
}

// answer wants a reader to see every row that was acknowledged before, once.
func (c *checker) answer(l meta.Listing, hot []hotUnit, seen []int) {
	c.answers++
	c.complete("a reader", true, c.rows(l, hot), seen)
}

func (c *checker) complete(who string, reader bool, found map[int]bool, seen []int) {
	for i, n := range c.world.nodes {
		for j, row := range n.disk.acked[:seen[i]] {
			if !found[row] && day(row) == today && !(reader && c.givenUp[n.disk.of[j]]) {
				c.fail("row %d, which %s had acknowledged, is not seen by %s", row, n.id, who)
			}
		}
	}
}

// end looks at the whole after a while without trouble.
func (c *checker) end() {
	ctx := context.Background()
	w := c.world
	var ids, leaders []string
	var seen []int
	for _, n := range w.nodes {
		ids = append(ids, n.id)
		seen = append(seen, len(n.disk.acked))
		if n.process != nil && n.process.leading {
			leaders = append(leaders, n.id)
		}
		if n.process == nil || len(n.process.hot) > 0 {
			c.fail("%s has unflushed rows, or is gone", n.id)
		}
	}
	if len(leaders) != 1 || c.token[lead.Operation] == 0 {
		c.fail("the leaders are %v", leaders)
	}
	if r, err := w.catalog.Ring(ctx); err != nil || !r.Equal(meta.NewRing(ids)) {
		c.fail("the ring has %v, the cluster %v, %v", r.Nodes(), ids, err)
	}
	l, err := w.catalog.Listing(ctx, table)
	if err != nil {
		c.fail("listing: %v", err)
	}
	c.complete("the index", false, c.rows(l, nil), seen)
	c.history(ctx)
}

// history wants each change once, in order.
func (c *checker) history(ctx context.Context) {
	got, err := c.world.catalog.History(ctx, meta.HistoryMax)
	if err != nil {
		c.fail("history: %v", err)
	}
	var versions []meta.Semver
	for _, change := range slices.Backward(got) {
		versions = append(versions, change.Version)
	}
	if !slices.Equal(versions, c.changes) {
		c.fail("the history has %v, what took effect is %v", versions, c.changes)
	}
}
