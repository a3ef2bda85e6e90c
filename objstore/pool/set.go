package pool

import (
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"time"

	"skein/internal/fault"
	"skein/objstore"
)

// Names of the sets.
const (
	primaryName = "primary"
	backupName  = "backup"
)

// set is several endpoints that show the same objects. It is an objstore.Store
// and an objstore.Summer that knows nothing of the other set.
type set struct {
	name      string
	endpoints []*endpoint
	good, bad int // probes of the whole in a row; the watcher's
}

// up tells whether any endpoint is worth a try.
func (s *set) up() bool {
	return s != nil && slices.ContainsFunc(s.endpoints, (*endpoint).healthy)
}

// order gives the endpoints, the best first: healthy before others, then by
// expected wait.
func (s *set) order() []*endpoint { return ranked(s.endpoints) }

func ranked(endpoints []*endpoint) []*endpoint {
	type rank struct {
		*endpoint
		healthy bool
		score   float64
	}
	all := make([]rank, len(endpoints))
	for i, e := range endpoints {
		all[i] = rank{e, e.healthy(), e.score()}
	}
	slices.SortStableFunc(all, func(a, b rank) int {
		if a.healthy != b.healthy {
			if a.healthy {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.score, b.score)
	})
	out := make([]*endpoint, len(all))
	for i, r := range all {
		out[i] = r.endpoint
	}
	return out
}

// each tries f on one endpoint after the other until one answers.
func (s *set) each(ctx context.Context, op string, f func(context.Context, objstore.Store) error) error {
	var errs []error
	for _, e := range s.order() {
		err := e.do(ctx, op, f)
		if err == nil || !elsewhere(err) || ctx.Err() != nil {
			return err
		}
		errs = append(errs, err)
	}
	return fault.Wrap(fault.CodeOf(errs[0]), errors.Join(errs...))
}

// Put implements objstore.Store.
func (s *set) Put(ctx context.Context, key string, r io.Reader, size int64) error {
	return s.put(ctx, key, newBody(r), size, func(int) time.Duration { return 0 })
}

// put tries the endpoints in turn, as far as the body can be read again.
// limit gives the time of a try with so many others left; no limit if zero.
func (s *set) put(ctx context.Context, key string, b *body, size int64, limit func(left int) time.Duration) error {
	var errs []error
	order := s.order()
	for i, e := range order {
		if !b.rewind() {
			break
		}
		err := e.do(ctx, "put", func(ctx context.Context, store objstore.Store) error {
			return within(ctx, limit(len(order)-i-1), func(ctx context.Context) error { return store.Put(ctx, key, b.reader(), size) })
		})
		if err == nil || !elsewhere(err) || ctx.Err() != nil {
			return err
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return errSpent
	}
	return fault.Wrap(fault.CodeOf(errs[0]), errors.Join(errs...))
}

var errSpent = fault.New(fault.Unavailable, "what to store was read by a try that failed, and cannot be read again; try again")

// within runs f for at most d, and tells errSlow after that.
func within(ctx context.Context, d time.Duration, f func(context.Context) error) error {
	if d <= 0 {
		return f(ctx)
	}
	limited, cancel := context.WithTimeoutCause(ctx, d, errSlow)
	defer cancel()
	err := f(limited)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return errSlow
	}
	return err
}

// Get implements objstore.Store.
func (s *set) Get(ctx context.Context, key string, offset, length int64) (r io.ReadCloser, err error) {
	err = s.each(ctx, "get", func(ctx context.Context, store objstore.Store) (err error) {
		r, err = store.Get(ctx, key, offset, length)
		return err
	})
	return r, err
}

// Stat implements objstore.Store.
func (s *set) Stat(ctx context.Context, key string) (info objstore.Info, err error) {
	err = s.each(ctx, "stat", func(ctx context.Context, store objstore.Store) (err error) {
		info, err = store.Stat(ctx, key)
		return err
	})
	return info, err
}

// Sum implements objstore.Summer.
func (s *set) Sum(ctx context.Context, key string) (info objstore.Info, sum string, err error) {
	err = s.each(ctx, "stat", func(ctx context.Context, store objstore.Store) (err error) {
		info, sum, err = sumOf(ctx, store, key)
		return err
	})
	return info, sum, err
}

func sumOf(ctx context.Context, store objstore.Store, key string) (objstore.Info, string, error) {
	if summer, ok := store.(objstore.Summer); ok {
		return summer.Sum(ctx, key)
	}
	info, err := store.Stat(ctx, key)
	return info, "", err
}

// Open implements objstore.Summer.
func (s *set) Open(ctx context.Context, key string) (r io.ReadCloser, info objstore.Info, sum string, err error) {
	err = s.each(ctx, "get", func(ctx context.Context, store objstore.Store) (err error) {
		if summer, ok := store.(objstore.Summer); ok {
			r, info, sum, err = summer.Open(ctx, key)
			return err
		}
		if info, err = store.Stat(ctx, key); err == nil {
			r, err = store.Get(ctx, key, 0, -1)
		}
		return err
	})
	return r, info, sum, err
}

// Delete implements objstore.Store.
func (s *set) Delete(ctx context.Context, key string) error {
	return s.each(ctx, "delete", func(ctx context.Context, store objstore.Store) error { return store.Delete(ctx, key) })
}

// List implements objstore.Store. It goes on at the next endpoint only if the
// first failed before its first object.
func (s *set) List(ctx context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		order := s.order()
		for i, e := range order {
			done := e.force("list")
			any, failed := false, error(nil)
			for info, err := range e.store.List(ctx, prefix) {
				if failed = err; err != nil && !any && elsewhere(err) && i < len(order)-1 {
					break
				}
				any = true
				if !yield(info, err) {
					done(nil)
					return
				}
			}
			done(failed)
			if any || failed == nil {
				return
			}
		}
	}
}

// Ping implements objstore.Store.
func (s *set) Ping(ctx context.Context) error {
	return s.each(ctx, "ping", func(ctx context.Context, store objstore.Store) error { return store.Ping(ctx) })
}

// body is what is stored, perhaps several times.
type body struct {
	r     io.Reader
	seek  io.Seeker
	start int64
	reads int // tries that began
}

func newBody(r io.Reader) *body {
	b := &body{r: r}
	if s, ok := r.(io.Seeker); ok {
		if at, err := s.Seek(0, io.SeekCurrent); err == nil {
			b.seek, b.start = s, at
		}
	}
	return b
}

// rewind prepares the body for another try and tells whether that is possible.
func (b *body) rewind() bool {
	b.reads++
	if b.reads == 1 {
		return true
	}
	if b.seek == nil {
		return false
	}
	_, err := b.seek.Seek(b.start, io.SeekStart)
	return err == nil
}

func (b *body) reader() io.Reader { return b.r }
