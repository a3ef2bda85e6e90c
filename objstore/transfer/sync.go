package transfer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"golang.org/x/sync/errgroup"

	"skein/objstore"
)

// Check says how Sync tells whether an object that is in both stores is the
// same.
type Check int

// The checks, from the quickest to the surest.
const (
	BySize Check = iota // by size alone; objects are immutable
	BySum               // by checksum, as Same
	ByRead              // by reading both
)

// SyncOptions of a Sync.
type SyncOptions struct {
	Prefix   string
	Want     func(key string) bool // which keys; all if nil
	Check    Check
	DryRun   bool           // tells what it would do
	Parallel int            // objects at once; 16 if zero
	Progress func(Progress) // called after each object, one call at a time; may be nil
}

// Progress is what a Sync has done so far, and at its end its result.
type Progress struct {
	Objects, Bytes int64  // looked at: of the source
	Copied, Moved  int64  // objects and bytes that were missing or not the same; with DryRun they would be copied
	Extra          int64  // objects that only the target has; they stay
	Failed         int64  // objects that could not be copied
	Key            string // the last one; empty at the end
}

// failuresShown is how many failures the error of a Sync repeats.
const failuresShown = 10

// Sync copies what from has and to has not, or not the same. It can be broken
// off and repeated at any time. One object that fails does not stop the others;
// the error tells the first of them.
func Sync(ctx context.Context, from, to objstore.Store, o SyncOptions) (Progress, error) {
	if o.Parallel == 0 {
		o.Parallel = 16
	}
	s := &syncing{from: from, to: to, o: o}
	group := errgroup.Group{}
	group.SetLimit(o.Parallel)
	var listErr error
	for pair, err := range Merge(from.List(ctx, o.Prefix), to.List(ctx, o.Prefix)) {
		if err != nil {
			listErr = err
			break
		}
		if o.Want != nil && !o.Want(pair.Key) {
			continue
		}
		if pair.A == nil {
			s.done(Progress{Extra: 1, Key: pair.Key}, nil)
			continue
		}
		group.Go(func() error { s.object(ctx, pair); return nil })
	}
	_ = group.Wait() // its functions return nil
	s.total.Key = ""
	return s.total, errors.Join(listErr, ctx.Err(), errors.Join(s.failures...))
}

type syncing struct {
	from, to objstore.Store
	o        SyncOptions

	mu       sync.Mutex
	total    Progress
	failures []error
}

func (s *syncing) object(ctx context.Context, p Pair) {
	step := Progress{Objects: 1, Bytes: p.A.Size, Key: p.Key}
	same, err := s.same(ctx, p)
	if err == nil && !same {
		step.Copied, step.Moved = 1, p.A.Size
		if !s.o.DryRun {
			_, err = Copy(ctx, s.from, s.to, p.Key)
		}
	}
	if errors.Is(err, objstore.ErrNotFound) {
		return // deleted since it was listed
	}
	if err != nil {
		step = Progress{Objects: 1, Bytes: p.A.Size, Failed: 1, Key: p.Key}
	}
	s.done(step, err)
}

func (s *syncing) same(ctx context.Context, p Pair) (bool, error) {
	if p.B == nil || p.A.Size != p.B.Size {
		return false, nil
	}
	var err error
	switch s.o.Check {
	case BySum:
		err = Same(ctx, s.from, s.to, p.Key)
	case ByRead:
		err = SameBytes(ctx, s.from, s.to, p.Key)
	}
	if errors.Is(err, ErrDiffers) {
		return false, nil
	}
	return err == nil, err
}

func (s *syncing) done(step Progress, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total.Objects += step.Objects
	s.total.Bytes += step.Bytes
	s.total.Copied += step.Copied
	s.total.Moved += step.Moved
	s.total.Extra += step.Extra
	s.total.Failed += step.Failed
	s.total.Key = step.Key
	if err != nil && len(s.failures) < failuresShown {
		s.failures = append(s.failures, fmt.Errorf("copy of object %q: %w", step.Key, err))
	}
	if s.o.Progress != nil {
		s.o.Progress(s.total)
	}
}

// Pair is an object as two stores list it; nil where it is not.
type Pair struct {
	Key  string
	A, B *objstore.Info
}

// Merge joins two lists that are ordered by key. It ends after the first error.
func Merge(a, b iter.Seq2[objstore.Info, error]) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		nextA, stopA := iter.Pull2(a)
		defer stopA()
		nextB, stopB := iter.Pull2(b)
		defer stopB()
		left, err := pull(nextA)
		right, err2 := pull(nextB)
		for err == nil && err2 == nil && (left != nil || right != nil) {
			var p Pair
			switch {
			case right == nil || left != nil && left.Key < right.Key:
				p = Pair{Key: left.Key, A: left}
			case left == nil || right.Key < left.Key:
				p = Pair{Key: right.Key, B: right}
			default:
				p = Pair{Key: left.Key, A: left, B: right}
			}
			if !yield(p, nil) {
				return
			}
			if p.A != nil {
				left, err = pull(nextA)
			}
			if p.B != nil {
				right, err2 = pull(nextB)
			}
		}
		if err = errors.Join(err, err2); err != nil {
			yield(Pair{}, err)
		}
	}
}

func pull(next func() (objstore.Info, error, bool)) (*objstore.Info, error) {
	info, err, ok := next()
	if !ok || err != nil {
		return nil, err
	}
	return &info, nil
}
