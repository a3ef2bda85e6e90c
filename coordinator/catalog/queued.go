package catalog

import (
	"context"
	"errors"
	"time"

	"skein/objstore"
)

// Queued are all objects that wait for their deletion.
func (s *Service) Queued(ctx context.Context) (map[string]bool, error) {
	return s.deletions.queued(ctx)
}

// Usable refuses, by FailedPrecondition, a catalog that was lost.
func (s *Service) Usable(ctx context.Context) error { return s.usable(ctx) }

// seenKept is how long records of the queue are kept in memory after somebody
// asked for them: a check asks often, and each time for all.
const seenKept = time.Minute

// queued are all objects that wait for their deletion. It lists the records, and
// reads those that it has not read lately.
func (d *deletions) queued(ctx context.Context) (map[string]bool, error) {
	d.mu.Lock()
	seen := d.seen
	d.mu.Unlock()
	now, all := map[string]map[string]string{}, map[string]bool{}
	err := d.records(ctx, func(key string, _ time.Time) (bool, error) {
		objects, ok := seen[key]
		if !ok {
			var err error
			if objects, err = d.read(ctx, key); errors.Is(err, objstore.ErrNotFound) {
				return true, nil
			} else if err != nil {
				return false, err
			}
		}
		now[key] = objects
		for object := range objects {
			all[object] = true
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.end != nil {
		d.end.Stop()
	}
	d.seen, d.end = now, time.AfterFunc(seenKept, d.forget)
	return all, nil
}

func (d *deletions) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = nil
}
