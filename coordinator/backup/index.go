package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"time"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/snapshot"
)

// index is a table with its files as of one moment, in a temporary file: a
// snapshot of the catalog that has one table. Of its files a page is in memory
// at a time. remove ends it.
type index struct {
	f       *os.File
	size    int64
	at      time.Time // before the index was read
	table   meta.Table
	version int64 // of the listing
	count   int64 // of the files
}

// one is a catalog that has a single table. It remembers what was read of it.
type one struct {
	meta.Store
	table string
	read  *index
}

// ReadImage implements snapshot.Source.
func (o one) ReadImage(ctx context.Context, table string, f func(meta.Image) error) error {
	return o.Store.ReadImage(ctx, table, func(img meta.Image) error {
		o.read.table, o.read.version, o.read.count = img.Table, img.Version, img.Count
		return f(img)
	})
}

func (o one) Tables(ctx context.Context) ([]meta.Table, error) {
	t, err := o.Table(ctx, o.table)
	return []meta.Table{t}, err
}
func (one) History(context.Context, int) ([]meta.Change, error) { return nil, nil }
func (one) Nodes(context.Context) ([]meta.Node, error)          { return nil, nil }
func (one) Ring(context.Context) (meta.Ring, error)             { return meta.Ring{}, nil }

// take reads the index of a table as it is; ErrTableNotFound if there is none.
func (s *Service) take(ctx context.Context, table string) (*index, error) {
	return s.keepIndex(func(x *index) error {
		sum, err := snapshot.Write(ctx, x.f, one{s.Catalog, table, x}, snapshot.Options{Compress: true, At: time.Now()})
		if x.at = sum.At; err == nil && sum.Totals.Tables == 0 {
			err = meta.ErrTableNotFound // dropped meanwhile
		}
		return err
	})
}

// fetch reads a copy from the backup store and verifies all of it.
func (s *Service) fetch(ctx context.Context, key string) (*index, error) {
	body, err := s.Spare.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	table, _, _ := parseCopyKey(key)
	x, err := s.keepIndex(func(x *index) (err error) {
		if x.size, err = io.Copy(x.f, io.LimitReader(body, copyBytesMax)); err == nil {
			err = x.open(ctx)
		}
		if err == nil && x.table.Name != table {
			err = fault.Newf(fault.FailedPrecondition, "it is of table %.80q", x.table.Name)
		}
		return err
	})
	switch {
	case err == nil:
		return x, nil
	case fault.CodeOf(err) == fault.Internal: // it cannot be read
		return nil, fault.Newf(fault.FailedPrecondition, "copy of an index %s is damaged: %w; choose another moment", key, err)
	}
	return nil, fmt.Errorf("copy of an index %s: %w", key, err)
}

// keepIndex makes an index in a temporary file, which fill fills.
func (s *Service) keepIndex(fill func(*index) error) (*index, error) {
	f, err := os.CreateTemp(s.o.Dir, "skein-index-*")
	if err != nil {
		return nil, temporary(err)
	}
	x := &index{f: f}
	err = fill(x)
	if err == nil {
		x.size, err = f.Seek(0, io.SeekCurrent)
	}
	if err != nil {
		x.remove()
		return nil, temporary(err)
	}
	return x, nil
}

// temporary gives errors of temporary files, such as a full disk, their class.
func temporary(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fault.Wrap(fault.Unavailable, fmt.Errorf("temporary file of a backup: %w", err))
	}
	return err
}

// open reads the whole to its checksum, and what it says beside the files.
func (x *index) open(ctx context.Context) error {
	_, sum, err := snapshot.Read(ctx, x.reader(), func(h snapshot.Header, img meta.Image) error {
		x.at, x.table, x.version, x.count = h.At, img.Table, img.Version, img.Count
		return nil
	})
	if err == nil && sum.Totals.Tables > 1 {
		err = fault.Newf(fault.FailedPrecondition, "it has %d tables", sum.Totals.Tables)
	}
	return err
}

func (x *index) reader() io.Reader { return io.NewSectionReader(x.f, 0, x.size) }

// errEnough ends a reading early.
var errEnough = errors.New("enough is read")

// files yields the files in pages. It may be called several times.
func (x *index) files(ctx context.Context) iter.Seq2[[]meta.File, error] {
	return func(yield func([]meta.File, error) bool) {
		_, _, err := snapshot.Read(ctx, x.reader(), func(_ snapshot.Header, img meta.Image) error {
			for page, err := range img.Files {
				if err != nil {
					return err
				}
				if !yield(page, nil) {
					return errEnough
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

// each calls f for every file.
func (x *index) each(ctx context.Context, f func(meta.File) error) error {
	for page, err := range x.files(ctx) {
		if err != nil {
			return err
		}
		for _, file := range page {
			if err := f(file); err != nil {
				return err
			}
		}
	}
	return nil
}

// paths are those of the files that want says, as hashes: 40 bytes or so each.
func (x *index) paths(ctx context.Context, want func(meta.File) bool) (snapshot.Set, error) {
	all := snapshot.Set{}
	return all, x.each(ctx, func(f meta.File) error {
		if want == nil || want(f) {
			all.Add(f.Path)
		}
		return nil
	})
}

// save puts the index into the backup store, as a copy.
func (s *Service) save(ctx context.Context, x *index) error {
	at := x.at
	if x.table.Created.After(at) { // made while it was read: the clocks of two nodes
		at = x.table.Created
	}
	if err := s.Spare.Put(ctx, copyKey(x.table.Name, at), io.NewSectionReader(x.f, 0, x.size), x.size); err != nil {
		return fmt.Errorf("copy of the index of table %s: %w", x.table.Name, err)
	}
	return nil
}

// remove ends the index; of none it does nothing.
func (x *index) remove() {
	if x != nil {
		_, _ = x.f.Close(), os.Remove(x.f.Name())
	}
}
