package repair

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/check"
	"skein/meta/lead"
	"skein/objstore"
)

// Queue tells of work on objects that is still to be done, such as a
// transfer.Queue.
type Queue interface {
	Find(ctx context.Context, key string) (value string, found bool, err error)
}

// Deps are what a Service works with.
type Deps struct {
	Catalog meta.Store
	Primary objstore.Store
	Backup  objstore.Store // nil: none
	Queues  []Queue        // of copies and deletions
	// Deletions are all objects that wait for their deletion elsewhere; nil:
	// none do.
	Deletions func(ctx context.Context) (map[string]bool, error)
	// Usable refuses a catalog that was lost: what it does not name is not an
	// orphan. Nil: it always is.
	Usable func(ctx context.Context) error
	Dir    string       // for temporary files; that of the system if empty
	Log    *slog.Logger // nil: none
}

// Service checks the catalog against the stores. Its methods may be called from
// many goroutines.
type Service struct {
	d      Deps
	places chan struct{}
}

// runsMax is how many runs a node has at once.
const runsMax = 2

// New returns a service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{d: d, places: make(chan struct{}, runsMax)}
}

// Run checks, and repairs as the options say.
func (s *Service) Run(ctx context.Context, o check.Options) (check.Result, error) {
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	default:
		return check.Result{}, fault.Newf(fault.ResourceExhausted, "%d checks run on this node already; try again later", runsMax).RetryIn(5 * time.Second)
	}
	if s.d.Usable != nil {
		if err := s.d.Usable(ctx); err != nil {
			return check.Result{}, err
		}
	}
	if !o.Policy.Changes() || o.DryRun {
		return s.run(ctx, o, nil)
	}
	var result check.Result
	err := lead.Alone(ctx, s.d.Catalog, lead.RestoreOperation, rand.Text(), func(ctx context.Context, h *lead.Held) (err error) {
		result, err = s.run(ctx, o, h.Still)
		return err
	})
	if errors.Is(err, meta.ErrLocked) {
		return result, fault.Newf(fault.FailedPrecondition, "a repair, a restore, a rebuild or a clean-up runs already; wait until it is done: %w", err)
	}
	return result, err
}

func (s *Service) run(ctx context.Context, o check.Options, still func(context.Context) error) (check.Result, error) {
	if o.Now.IsZero() {
		now, err := meta.Now(ctx, s.d.Catalog)
		if err != nil {
			return check.Result{}, err
		}
		o.Now = now
	}
	o.Dir = s.d.Dir
	d := check.Deps{Catalog: s.d.Catalog, Primary: objects{s.d.Primary}, Still: still}
	if s.d.Backup != nil {
		d.Backup = mirror{objects{s.d.Backup}, s.d.Primary}
	}
	if len(s.d.Queues) > 0 || s.d.Deletions != nil {
		d.Waiting = s.waiting
	}
	result, err := check.Run(ctx, d, o)
	s.d.Log.Info("check of the catalog", "run", result.Run, "summary", result.Summary(), "who", o.Who, "error", err)
	return result, err
}

// waiting implements check.Deps.Waiting.
func (s *Service) waiting(ctx context.Context, keys []string) (map[string]bool, error) {
	all := map[string]bool{}
	if s.d.Deletions != nil {
		var err error
		if all, err = s.d.Deletions(ctx); err != nil {
			return nil, err
		}
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(findsAtOnce)
	for _, key := range keys {
		for _, q := range s.d.Queues {
			group.Go(func() error {
				_, found, err := q.Find(ctx, key)
				if found {
					mu.Lock()
					defer mu.Unlock()
					all[key] = true
				}
				return err
			})
		}
	}
	return all, group.Wait()
}

const findsAtOnce = 16
