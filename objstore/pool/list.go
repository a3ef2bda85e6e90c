package pool

import (
	"context"
	"iter"

	"skein/objstore"
	"skein/objstore/transfer"
)

// List implements objstore.Store. While objects may be in the backup set alone
// it lists both, and fails if one cannot be listed: it gives no short answer.
func (p *Pool) List(ctx context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	if p.backup == nil || !p.onBackup() && !p.pending.Load() {
		return p.primary.List(ctx, prefix)
	}
	return func(yield func(objstore.Info, error) bool) {
		for pair, err := range transfer.Merge(p.primary.List(ctx, prefix), p.backup.List(ctx, prefix)) {
			if err != nil {
				yield(objstore.Info{}, err)
				return
			}
			info := pair.A
			if info == nil {
				info = pair.B
				if !p.onBackup() && !p.returns(ctx, info.Key) {
					continue // deleted, and kept in the backup for a while
				}
			}
			if !yield(*info, nil) {
				return
			}
		}
	}
}

// returns tells whether the journal will copy the object back.
func (p *Pool) returns(ctx context.Context, key string) bool {
	value, found, err := p.agreement.Journal.Find(ctx, key)
	if err != nil || !found {
		return err != nil
	}
	task, err := transfer.ParseTask(value)
	return err == nil && !task.Delete
}

// Ping implements objstore.Store: one set that answers is enough.
func (p *Pool) Ping(ctx context.Context) error {
	first, second := p.primary, p.backup
	if second != nil && p.onBackup() {
		first, second = second, first
	}
	limit := p.o.ProbeTimeout
	if second == nil {
		limit = 0
	}
	err := within(ctx, limit, first.Ping)
	if err != nil && second != nil && ctx.Err() == nil {
		return also(second.Ping(ctx), err)
	}
	return err
}
