package repair

import (
	"context"
	"errors"
	"io"
	"iter"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/check"
	"skein/objstore"
	"skein/objstore/ranged"
	"skein/objstore/transfer"
	"skein/worker"
)

// objects is an object store as a check knows it.
type objects struct{ objstore.Store }

// List implements check.Objects.
func (o objects) List(ctx context.Context, prefix string) iter.Seq2[check.Object, error] {
	return func(yield func(check.Object, error) bool) {
		for info, err := range o.Store.List(ctx, prefix) {
			if !yield(check.Object(info), err) {
				return
			}
		}
	}
}

// Stat implements check.Objects.
func (o objects) Stat(ctx context.Context, key string) (check.Object, error) {
	info, err := o.Store.Stat(ctx, key)
	return check.Object(info), err
}

// Get implements check.Objects.
func (o objects) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	return o.Store.Get(ctx, key, 0, -1)
}

// Intact implements check.Objects.
func (o objects) Intact(ctx context.Context, key string) error {
	return differs(transfer.Intact(ctx, o.Store, key))
}

func differs(err error) error {
	if errors.Is(err, transfer.ErrDiffers) {
		return fault.Wrap(fault.FailedPrecondition, err)
	}
	return err
}

// Footer implements check.Objects.
func (o objects) Footer(ctx context.Context, at check.Object, f meta.File, s meta.Schema) (check.Footer, error) {
	in := ranged.New(ctx, o.Store, at.Key, at.Size)
	got, err := worker.ReadFooter(in, at.Size, f, s)
	if in.Err() != nil {
		err = ofStore(in.Err())
	}
	if err != nil {
		return check.Footer{}, err
	}
	footer := check.Footer{Rows: got.Rows, Ranges: got.Ranges, TimesKnown: got.TimesKnown, MinTime: got.MinTime, MaxTime: got.MaxTime, NullTimes: got.NullTimes,
		IDKnown: got.IDKnown, ID: got.ID}
	for _, c := range got.Columns {
		footer.Columns = append(footer.Columns, check.Column(c))
	}
	if got.Note != nil {
		footer.Path = got.Note.File.Path
	}
	return footer, nil
}

// mirror is the backup of a primary store.
type mirror struct {
	objects
	primary objstore.Store
}

// Save implements check.Mirror.
func (m mirror) Save(ctx context.Context, key string) error {
	_, err := transfer.Copy(ctx, m.primary, m.Store, key)
	return err
}

// Fetch implements check.Mirror.
func (m mirror) Fetch(ctx context.Context, key string) error {
	_, err := transfer.Copy(ctx, m.Store, m.primary, key)
	return err
}

// Same implements check.Mirror.
func (m mirror) Same(ctx context.Context, key string) error {
	return differs(transfer.Same(ctx, m.primary, m.Store, key))
}

// ofStore is an error of the store, which must not pass for one of the file.
func ofStore(err error) error {
	if fault.CodeOf(err) == fault.FailedPrecondition {
		return fault.Wrap(fault.Unavailable, err)
	}
	return err
}
