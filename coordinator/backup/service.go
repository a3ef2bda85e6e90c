package backup

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"skein/internal/fault"
	"skein/meta"
	"skein/objstore"
	"skein/objstore/transfer"
)

// Register is one value that all nodes share.
type Register interface {
	// Load returns the value and its version; version 0 if it was never set.
	Load(ctx context.Context) (version int64, value string, err error)
	// Swap stores the value as version+1 if the stored version is still
	// version, and tells whether it did.
	Swap(ctx context.Context, version int64, value string) (bool, error)
}

// Lease lets one node at a time do something.
type Lease interface {
	// Acquire takes the lease or renews it; held is false while another owner
	// has it.
	Acquire(ctx context.Context, ttl time.Duration) (token int64, held bool, err error)
	Release(ctx context.Context) error
}

// Deps are what a Service works with.
type Deps struct {
	Catalog    meta.Store
	Primary    objstore.Store
	Spare      objstore.Store // the backup store
	Queue      transfer.Queue // of the automatic backup
	Operations Register       // the list of operations
	Lease      Lease          // of the hourly copies of the index
	// Flush turns the acknowledged rows of a table into files; nothing is
	// flushed if nil.
	Flush func(ctx context.Context, table string) error
	// MakeBucket makes the primary store's bucket where it is gone; nil if it
	// has none.
	MakeBucket func(ctx context.Context) error
	Log        *slog.Logger // nil: none
}

// Options of a Service.
type Options struct {
	Node         string        // this node, as operations tell it
	Sources      []string      // names of the backup store beside "backup": its URLs and bucket
	Grace        time.Duration // how long the backup keeps what was deleted; 7 days if zero
	HistoryEvery time.Duration // between copies of the index; 1h if zero
	Parallel     int           // files at once; 16 if zero
	RunningMax   int           // operations of this node at once; 4 if zero
	TimeMax      time.Duration // of one operation; 24h if zero
	Dir          string        // for temporary files; that of the system if empty

	commitMax int // files that may change in one commit; meta.CommitFilesMax if zero
}

// Service backs up, verifies and restores. Its methods may be called from many
// goroutines.
type Service struct {
	Deps
	o      Options
	places chan struct{}

	running sync.WaitGroup // operations; they end with stop
	stopped context.Context
	stop    context.CancelFunc
	mu      sync.Mutex
	cancels map[string]context.CancelCauseFunc // of the operations that run here, by ID
}

// New returns a service. Keep keeps the history of the index. The caller closes
// the service before what it works with.
func New(d Deps, o Options) *Service {
	if o.Grace == 0 {
		o.Grace = 7 * 24 * time.Hour
	}
	if o.HistoryEvery == 0 {
		o.HistoryEvery = time.Hour
	}
	if o.Parallel == 0 {
		o.Parallel = 16
	}
	if o.RunningMax == 0 {
		o.RunningMax = 4
	}
	if o.TimeMax == 0 {
		o.TimeMax = 24 * time.Hour
	}
	if o.commitMax == 0 {
		o.commitMax = meta.CommitFilesMax
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{Deps: d, o: o, places: make(chan struct{}, o.RunningMax), cancels: map[string]context.CancelCauseFunc{}}
	s.stopped, s.stop = context.WithCancel(context.Background())
	return s
}

// Close ends the operations that run on this node and waits for them. They go
// on where they were when they are asked for again.
func (s *Service) Close() {
	s.stop()
	s.running.Wait()
}

// Request says what to back up, verify or restore.
type Request struct {
	Table   string    // all tables if empty; of Verify all with BackupEnabled
	ID, Day string    // of Backup: only files that may hold rows of the id, or of the day; with Table
	At      time.Time // of Restore: the moment to go back to; zero and moments to come are now
	Source  string    // of Restore: where the backup is; "backup" if empty
	Dropped bool      // of Restore of all tables: also those that only the backup knows
	Deep    bool      // of Verify: read all bytes
	DryRun  bool      // change nothing, tell what would be done
}

// ErrNoBackup says that a node has no Service.
var ErrNoBackup = fault.New(fault.FailedPrecondition, "there is no backup store: start the nodes with --s3-backup and the URL of one, beside --s3 and --redis")

// Check refuses what no service could do, by InvalidArgument.
func (r *Request) Check() error {
	if r.Table != "" {
		name, err := meta.ValidateTableName(r.Table)
		if err != nil {
			return err
		}
		r.Table = name
	}
	if r.Table == "" && (r.ID != "" || r.Day != "" || !r.At.IsZero()) {
		return fault.New(fault.InvalidArgument, "an id, a day and a moment are of one table: name it")
	}
	if r.ID != "" {
		if err := meta.ValidateID(r.ID); err != nil {
			return err
		}
	}
	if r.Day != "" {
		if _, err := time.Parse(time.DateOnly, r.Day); err != nil {
			return fault.Newf(fault.InvalidArgument, "day %.40q: use YYYY-MM-DD, such as 2024-01-15", r.Day)
		}
	}
	return nil
}

// ParseMoment reads a day, which means its end, or a time in RFC 3339; empty
// is now, the zero time.
func ParseMoment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.AddDate(0, 0, 1).Add(-time.Nanosecond), nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || at.Year() < 1 || at.Year() > 9999 {
		return time.Time{}, fault.Newf(fault.InvalidArgument, "target date %.40q: use YYYY-MM-DD, which is the end of that day in UTC, or a time such as 2024-01-15T10:00:00Z", text)
	}
	return at.UTC(), nil
}

// tables are the named one, or all that want says.
func (s *Service) tables(ctx context.Context, name string, want func(*meta.Table) bool) ([]meta.Table, error) {
	if name != "" {
		t, err := s.Catalog.Table(ctx, name)
		return []meta.Table{t}, err
	}
	all, err := s.Catalog.Tables(ctx)
	if err != nil {
		return nil, err
	}
	var some []meta.Table
	for i := range all {
		if want == nil || want(&all[i]) {
			some = append(some, all[i])
		}
	}
	return some, nil
}

// gone tells that a table was dropped meanwhile.
func gone(err error) bool { return errors.Is(err, meta.ErrTableNotFound) }
