package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"

	"skein/internal/fault"
)

const copyBytes = 128 << 10 // buffer of one range read

// run makes the entry's file good: by a check if it is there, else, or if the
// check fails, by a download.
func (c *Cache) run(ctx context.Context, e *entry) error {
	if err := c.slots.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("object %q: %w", e.key, err)
	}
	defer c.slots.Release(1)
	if e.onDisk { // only this load changes it
		err := c.files.check(ctx, e.id)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("object %q: %w", e.key, ctx.Err())
		}
		c.log.Warn("object cache downloads a damaged file anew", "key", e.key, "error", err)
		c.forget(e)
	}
	return c.download(ctx, e.id)
}

// forget removes the files of an entry that is being loaded.
func (c *Cache) forget(e *entry) {
	if err := c.files.remove(e.id); err != nil {
		c.log.Warn("object cache cannot remove a file", "key", e.key, "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setOnDisk(e, false)
}

// download brings the object into a temporary file and names it when it is
// whole.
func (c *Cache) download(ctx context.Context, id id) (err error) {
	temp, err := c.files.create()
	if err != nil {
		return fmt.Errorf("object %q: %w", id.key, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp.Name()) // else the next New removes it
		}
	}()
	s := side{Key: id.key, Size: id.size, PartBytes: c.options.PartBytes}
	s.Sums = make([]uint64, s.parts())
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(c.options.PartsMax)
	for i := range s.Sums {
		group.Go(func() error {
			sum, err := c.part(groupCtx, temp, s, i)
			s.Sums[i] = sum
			return err
		})
	}
	if err := errors.Join(group.Wait(), c.files.classify(temp.Close())); err != nil {
		return err
	}
	if err := c.files.publish(temp.Name(), s); err != nil {
		return fmt.Errorf("object %q: %w", id.key, err)
	}
	c.metrics.downloaded.Add(float64(id.size))
	return nil
}

// part downloads the i-th part into temp and returns its checksum.
func (c *Cache) part(ctx context.Context, temp *os.File, s side, i int) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("object %q: %w", s.Key, err)
	}
	offset, length := s.part(i)
	want := length
	if i == len(s.Sums)-1 {
		want++ // a byte that must not be there
	}
	r, err := c.store.Get(ctx, s.Key, offset, want)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	sum := xxhash.New()
	place := &placed{w: io.NewOffsetWriter(temp, offset), files: c.files}
	n, err := io.CopyBuffer(io.MultiWriter(place, sum), io.LimitReader(r, length), make([]byte, min(copyBytes, length+1)))
	if err != nil {
		return 0, fmt.Errorf("object %q: %w", s.Key, err)
	}
	if n < length {
		return 0, c.mismatch(ctx, s, offset+n)
	}
	if want > length {
		more, err := io.ReadFull(r, make([]byte, 1))
		if more > 0 {
			return 0, c.mismatch(ctx, s, s.Size+1)
		}
		if !errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("object %q: %w", s.Key, err)
		}
	}
	return sum.Sum64(), nil
}

// mismatch tells an object of a wrong size from an answer that ended early.
func (c *Cache) mismatch(ctx context.Context, s side, end int64) error {
	info, err := c.store.Stat(ctx, s.Key)
	switch {
	case err != nil:
		return err
	case info.Size != s.Size:
		return damaged(s.Key, info.Size, s.Size)
	}
	return fault.Newf(fault.Unavailable, "object %q: the store's answer ended at byte %d of %d; retry", s.Key, end, s.Size)
}

// placed writes at a place of a file and gives errors their class.
type placed struct {
	w     io.Writer
	files *files
}

func (p *placed) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	return n, p.files.classify(err)
}
