package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"skein/internal/fault"
	"skein/objstore"
	"skein/objstore/transfer"
)

// Put implements objstore.Store. What the primary set cannot take now goes to
// the backup set, after the journal has noted that it must return. A reader
// that is no io.Seeker can be stored by the first try alone.
func (p *Pool) Put(ctx context.Context, key string, r io.Reader, size int64) error {
	if err := objstore.ValidateKey(key); err != nil {
		return err
	}
	if size < 0 {
		return fault.Newf(fault.InvalidArgument, "object %q: size %d must be 0 or more", key, size)
	}
	b := newBody(r)
	if p.backup == nil {
		return p.primary.put(ctx, key, b, size, p.putLimit(size, 0))
	}
	if p.primary.up() && (!p.onBackup() || p.returning(ctx, key)) {
		err := p.primary.put(ctx, key, b, size, p.putLimit(size, 1))
		if err == nil || ctx.Err() != nil || !p.down(ctx, err) {
			return err
		}
		return also(p.putBackup(ctx, key, b, size), err)
	}
	err := p.putBackup(ctx, key, b, size)
	if err == nil || ctx.Err() != nil || !elsewhere(err) {
		return err
	}
	return also(p.primary.put(ctx, key, b, size, p.putLimit(size, 0)), err)
}

// returning tells whether a new object goes to the primary set already, so
// that the journal comes to an end. One that the journal knows does not: it
// may be about to be deleted there.
func (p *Pool) returning(ctx context.Context, key string) bool {
	if p.state.Load().Mode != Returning {
		return false
	}
	_, found, err := p.agreement.Journal.Find(ctx, key)
	return err == nil && !found
}

// also adds the earlier error, if the later try failed too.
func also(later, earlier error) error {
	if later == nil {
		return nil
	}
	return fault.Wrap(fault.CodeOf(later), errors.Join(earlier, later))
}

// putLimit gives the time of a try, while others are left or so many beyond
// the set.
func (p *Pool) putLimit(size int64, beyond int) func(left int) time.Duration {
	return func(left int) time.Duration {
		if left+beyond == 0 {
			return 0
		}
		return p.tuning.Load().PutTimeout + time.Duration(size/p.o.PutBytes)*time.Second
	}
}

// down tells whether an error of the primary set is one of the set, and not of
// the object.
func (p *Pool) down(ctx context.Context, err error) bool {
	switch fault.CodeOf(err) {
	case fault.Unavailable, fault.DeadlineExceeded, fault.ResourceExhausted:
		return true
	case fault.PermissionDenied, fault.FailedPrecondition:
		ctx, cancel := context.WithTimeout(ctx, p.o.ProbeTimeout)
		defer cancel()
		return p.primary.Ping(ctx) != nil
	}
	return false
}

// putBackup notes the object in the journal and stores it in the backup set.
func (p *Pool) putBackup(ctx context.Context, key string, b *body, size int64) error {
	ctx, cancel := context.WithTimeout(ctx, p.o.LateMax/2) // the journal waits no longer for it
	defer cancel()
	if err := transfer.QueueCopies(ctx, p.agreement.Journal, key); err != nil {
		return fmt.Errorf("object %q: the backup cannot be used without a note of it: %w", key, err)
	}
	return p.backup.put(ctx, key, b, size, p.putLimit(size, 0))
}

// Delete implements objstore.Store. While the backup set is in charge the
// object is deleted there, and from the primary set when that is back.
func (p *Pool) Delete(ctx context.Context, key string) error {
	if err := objstore.ValidateKey(key); err != nil {
		return err
	}
	if p.backup == nil {
		return p.primary.Delete(ctx, key)
	}
	if !p.onBackup() && p.primary.up() {
		err := p.primary.Delete(ctx, key)
		if err == nil && !p.pending.Load() {
			return nil
		}
		if err != nil && (ctx.Err() != nil || !p.down(ctx, err)) {
			return err
		}
		if err == nil {
			if _, found, err := p.agreement.Journal.Find(ctx, key); err == nil && !found {
				return nil
			}
		}
	}
	if err := transfer.QueueDeletions(ctx, p.agreement.Journal, 0, key); err != nil {
		return fmt.Errorf("object %q: it cannot be deleted without a note of it: %w", key, err)
	}
	return p.backup.Delete(ctx, key)
}

var _ objstore.Store = (*Pool)(nil)
