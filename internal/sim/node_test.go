package sim

import (
	"context"
	"fmt"
	"sync"
	"time"

	"skein/meta"
	"skein/meta/member"
	"skein/objstore/pool"
)

// Times are short so that a schedule is. What counts is how they compare.
const (
	beatEvery  = 2 * time.Second
	beatExpiry = 5 * time.Second
	leaderTTL  = 3 * time.Second
)

// world is all that a schedule has.
type world struct {
	*schedule
	catalog meta.Store
	flaw    flaw
	nodes   []*node
	objects map[string][]int // rows of the objects, by key
	check   *checker
	all     []*process // that ever were
	quiet   bool       // nobody takes in new rows

	part     func(p *process) // that processes have; those of the catalog if nil
	switches int              // of the object pool
}

// node is a machine: its disk stays when its process dies.
type node struct {
	id         string
	world      *world
	starts     int
	process    *process // nil while none runs
	disk       disk
	unreached  int  // outages of the primary object store, as this node sees it
	cut        bool // no message reaches it or comes from it
	pausedTill time.Time
}

// process is one life of a node.
type process struct {
	*node
	name   string
	ctx    context.Context
	cancel context.CancelFunc
	dead   bool // crashed: nothing that it says is heard
	wg     sync.WaitGroup
	leave  chan struct{} // closed when it is told to stop

	flushed chan struct{} // closed when its worker has ended
	hot     []*unit       // that it tells readers of
	leading bool

	pool     *pool.Pool
	majority bool // of the nodes could not use the primary set when it last counted
	ended    bool // in good order
}

// start begins a process on a node.
func (n *node) start(parts ...func(p *process)) {
	n.starts++
	p := &process{node: n, name: fmt.Sprintf("%s.%d", n.id, n.starts), leave: make(chan struct{}), flushed: make(chan struct{})}
	p.replay()
	p.ctx, p.cancel = context.WithCancel(context.Background())
	n.process = p
	n.world.all = append(n.world.all, p)
	for _, part := range parts {
		p.wg.Go(func() { part(p) })
	}
}

// crash ends the process at once, as kill -9 does. Requests that it has sent
// may still arrive.
func (n *node) crash() {
	p := n.process
	if p == nil {
		return
	}
	n.process = nil
	n.world.mu.Lock()
	p.dead = true
	n.world.mu.Unlock()
	p.cancel()
}

// stop tells the process to end in good order, as SIGTERM does.
func (n *node) stop() {
	if n.process != nil && !n.process.told() {
		close(n.process.leave)
	}
}

// sleep waits, and tells false when the process ends meanwhile.
func (p *process) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		p.world.mu.Lock() // the schedule is done with what it looked at: a timer does not say so to the race detector
		defer p.world.mu.Unlock()
		return true
	case <-ctx.Done():
		return false
	}
}

// store is the catalog as one goroutine of a process sees it, over the
// network. Methods that no node of the simulation calls are not there.
type store struct {
	meta.Store // nil
	p          *process
	who        string // the goroutine
}

func (p *process) store(who string) store { return store{p: p, who: who} }

// do is a call of the catalog without an answer but its error.
func (s store) do(ctx context.Context, op string, f func(ctx context.Context, c meta.Store) error) error {
	_, err := get(ctx, s, op, func(ctx context.Context, c meta.Store) (struct{}, error) { return struct{}{}, f(ctx, c) })
	return err
}

func get[T any](ctx context.Context, s store, op string, f func(ctx context.Context, c meta.Store) (T, error)) (T, error) {
	w := s.p.world
	sent := context.WithoutCancel(ctx) // a request that is under way does not end with its caller
	return ask(ctx, s.p, s.who+" "+op, func() (T, error) {
		v, err := f(sent, w.driver())
		w.check.after(sent, op, err)
		return v, err
	})
}

func (s store) CreateTable(ctx context.Context, t meta.Table) error {
	return s.do(ctx, "create", func(ctx context.Context, c meta.Store) error { return c.CreateTable(ctx, t) })
}

func (s store) Table(ctx context.Context, name string) (meta.Table, error) {
	return get(ctx, s, "table", func(ctx context.Context, c meta.Store) (meta.Table, error) { return c.Table(ctx, name) })
}

func (s store) Tables(ctx context.Context) ([]meta.Table, error) {
	return get(ctx, s, "tables", func(ctx context.Context, c meta.Store) ([]meta.Table, error) { return c.Tables(ctx) })
}

func (s store) UpdateTable(ctx context.Context, t meta.Table) (meta.Table, error) {
	return get(ctx, s, "update", func(ctx context.Context, c meta.Store) (meta.Table, error) { return c.UpdateTable(ctx, t) })
}

func (s store) OpenUnit(ctx context.Context, table, uid string, u meta.OpenUnit) error {
	return s.do(ctx, "open "+u.Unit, func(ctx context.Context, c meta.Store) error {
		if member.IsGivenUp(u) {
			s.p.world.check.givenUp[u.Unit] = true
		}
		return c.OpenUnit(ctx, table, uid, u)
	})
}

func (s store) Commit(ctx context.Context, m meta.Commit) error {
	return s.do(ctx, "commit", func(ctx context.Context, c meta.Store) error {
		err := c.Commit(ctx, m)
		s.p.world.check.committed(ctx, m, err)
		return err
	})
}

func (s store) ForgetUnits(ctx context.Context, table string, units []string) error {
	return s.do(ctx, "forget", func(ctx context.Context, c meta.Store) error { return c.ForgetUnits(ctx, table, units) })
}

func (s store) Listing(ctx context.Context, table string) (meta.Listing, error) {
	return get(ctx, s, "listing", func(ctx context.Context, c meta.Store) (meta.Listing, error) { return c.Listing(ctx, table) })
}

func (s store) Heartbeat(ctx context.Context, n meta.Node) error {
	return s.do(ctx, "beat", func(ctx context.Context, c meta.Store) error {
		err := c.Heartbeat(ctx, n)
		s.p.world.check.beat(n.ID, err)
		return err
	})
}

func (s store) Leave(ctx context.Context, id string) error {
	return s.do(ctx, "leave "+id, func(ctx context.Context, c meta.Store) error {
		s.p.world.check.out(s.p, id)
		return c.Leave(ctx, id)
	})
}

func (s store) Nodes(ctx context.Context) ([]meta.Node, error) {
	return get(ctx, s, "nodes", func(ctx context.Context, c meta.Store) ([]meta.Node, error) { return c.Nodes(ctx) })
}

func (s store) Reap(ctx context.Context, expiry time.Duration) ([]string, error) {
	if s.p.world.flaw == reapsInSteps {
		return s.reapInSteps(ctx, expiry)
	}
	return get(ctx, s, "reap", func(ctx context.Context, c meta.Store) ([]string, error) {
		gone, err := c.Reap(ctx, expiry)
		for _, id := range gone {
			s.p.world.check.out(s.p, id)
		}
		return gone, err
	})
}

func (s store) Ring(ctx context.Context) (meta.Ring, error) {
	return get(ctx, s, "ring", func(ctx context.Context, c meta.Store) (meta.Ring, error) { return c.Ring(ctx) })
}

func (s store) SetRing(ctx context.Context, r meta.Ring) error {
	return s.do(ctx, "set ring", func(ctx context.Context, c meta.Store) error { return c.SetRing(ctx, r) })
}

func (s store) CatalogVersion(ctx context.Context) (meta.Semver, error) {
	return get(ctx, s, "version", func(ctx context.Context, c meta.Store) (meta.Semver, error) { return c.CatalogVersion(ctx) })
}

func (s store) Record(ctx context.Context, m meta.Change) (meta.Change, error) {
	return get(ctx, s, "record", func(ctx context.Context, c meta.Store) (meta.Change, error) { return c.Record(ctx, m) })
}

func (s store) Lock(ctx context.Context, operation, owner string, ttl time.Duration) (int64, error) {
	return get(ctx, s, "lock", func(ctx context.Context, c meta.Store) (int64, error) {
		token, err := c.Lock(ctx, operation, owner, ttl)
		s.p.world.check.granted(operation, owner, token, err)
		return token, err
	})
}

func (s store) Unlock(ctx context.Context, operation, owner string) error {
	return s.do(ctx, "unlock", func(ctx context.Context, c meta.Store) error { return c.Unlock(ctx, operation, owner) })
}

// ReadImage reads the whole image in one request.
func (s store) ReadImage(ctx context.Context, table string, f func(meta.Image) error) error {
	img, err := get(ctx, s, "image", func(ctx context.Context, c meta.Store) (img meta.Image, err error) {
		err = c.ReadImage(ctx, table, func(i meta.Image) error {
			img = i
			var all []meta.File
			for page, err := range i.Files {
				if err != nil {
					return err
				}
				all = append(all, page...)
			}
			img.Files = func(yield func([]meta.File, error) bool) { yield(all, nil) }
			return nil
		})
		return img, err
	})
	if err != nil {
		return err
	}
	return f(img)
}
