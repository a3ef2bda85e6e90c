package catalog

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"skein/meta"
	"skein/meta/lead"
	"skein/objstore"
)

// Register is one value that all nodes share.
type Register interface {
	// Load returns the value and its version; version 0 if it was never set.
	Load(ctx context.Context) (version int64, value string, err error)
	// Swap stores the value as version+1 if the stored version is still
	// version, and tells whether it did.
	Swap(ctx context.Context, version int64, value string) (bool, error)
}

// Backup is a snapshot on the list of the catalog, for programs that look for
// it there.
type Backup struct {
	Key string
	At  time.Time
}

// List is where the catalog lists its snapshots.
type List interface {
	ListBackups(ctx context.Context) ([]Backup, error)
	AddBackup(ctx context.Context, b Backup) error
	RemoveBackups(ctx context.Context, keys ...string) error
}

// Deps are what a Service works with.
type Deps struct {
	Catalog meta.Store
	Objects objstore.Store
	// Spare is the backup store, where snapshots go; Objects if nil.
	Spare  objstore.Store
	List   List                                   // nil: the catalog keeps no list
	Leader Register                               // tells who leads; nil: nobody else could
	Watch  func(ctx context.Context, hear func()) // hints of changes; nil: there are none
	Pool   func(ctx context.Context) map[string]map[string]string
	// Keep brings an object back that only the backup store has, and stops its
	// deletion; it tells whether it is there. Nil: there is no backup store.
	Keep func(ctx context.Context, key string) (bool, error)
	// Flush turns the acknowledged rows of all tables into files; nothing is
	// flushed if nil.
	Flush func(ctx context.Context) error
	// Reload drops what this node has read from the catalog. It was restored,
	// or changed in ways that were missed, if restored is set.
	Reload func(ctx context.Context, restored bool) error
	// Check compares the catalog with the objects. The leader calls it with a
	// context that fences its writes. Nil: nobody checks.
	Check func(ctx context.Context) error
	// Fail hears that this node cannot use the catalog any more.
	Fail func(error)
	Log  *slog.Logger // nil: none
}

// Options of a Service.
type Options struct {
	Node          string        // this node
	Dir           string        // for temporary files; that of the system if empty
	SnapshotEvery time.Duration // 1h if zero, never if negative
	SnapshotKeep  time.Duration // 7 days if zero
	SnapshotLeast int           // snapshots that stay however old; 3 if zero
	Plain         bool          // snapshots are not compressed
	TidyEvery     time.Duration // between looks for days and objects that have to go; 10m if zero
	Grace         time.Duration // from the end of a day to the deletion of its objects; 24h if zero
	CheckEvery    time.Duration // 24h if zero
	PollEvery     time.Duration // between looks at the version; 5s if zero
	LeadTTL       time.Duration // of the leader's lock; 15s if zero
	Parallel      int           // footers read at once; 16 if zero
}

func (o *Options) defaults() {
	set(&o.SnapshotEvery, time.Hour)
	set(&o.SnapshotKeep, 7*24*time.Hour)
	set(&o.SnapshotLeast, 3)
	set(&o.TidyEvery, 10*time.Minute)
	set(&o.Grace, GraceDefault)
	set(&o.CheckEvery, 24*time.Hour)
	set(&o.PollEvery, 5*time.Second)
	set(&o.LeadTTL, 15*time.Second)
	set(&o.Parallel, 16)
}

func set[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Service looks after the catalog. Its methods may be called from many
// goroutines.
type Service struct {
	Deps
	o         Options
	deletions *deletions
	looking   chan struct{} // who looks has its one place

	mu     sync.Mutex
	looked state // of the catalog at the last look
	seen   state // likewise, but for a catalog that was lost
	lost   error // why the catalog seems to be lost; nil if it does not
}

// New returns a service, or FailedPrecondition if this program cannot use the
// catalog.
func New(ctx context.Context, d Deps, o Options) (*Service, error) {
	o.defaults()
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Spare == nil {
		d.Spare = d.Objects
	}
	s := &Service{Deps: d, o: o, deletions: &deletions{store: d.Objects}, looking: make(chan struct{}, 1)}
	now, err := s.state(ctx)
	if err == nil {
		err = now.version.Compatible()
	}
	if err != nil {
		return nil, fmt.Errorf("version of the catalog: %w", err)
	}
	s.seen, s.looked = now, now
	return s, nil
}

// Run watches the catalog and stands for election, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	ctx = meta.As(ctx, "node "+s.o.Node)
	var running sync.WaitGroup
	running.Go(func() { s.watch(ctx) })
	running.Go(func() {
		owner := s.o.Node + " " + rand.Text() // one that was started again is another
		lead.Run(ctx, s.Catalog, owner, lead.Options{TTL: s.o.LeadTTL, Log: s.Log}, s.lead)
	})
	running.Wait()
}
