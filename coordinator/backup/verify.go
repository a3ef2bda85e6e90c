package backup

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/parquet/file"
	"golang.org/x/sync/errgroup"

	"skein/internal/fault"
	"skein/meta"
	"skein/objstore"
	"skein/objstore/ranged"
	"skein/objstore/transfer"
)

// Verify looks at every file of the index in the backup store: whether it is
// there, has the index's size, the checksum that it has in the primary store,
// and the index's number of rows. Where the primary store cannot be asked, all
// bytes are read instead and compared with the backup's own checksum. What is
// wrong is counted in the operation's Problems and is no error.
func (s *Service) Verify(ctx context.Context, r Request, report func(Operation)) (Operation, error) {
	if err := r.Check(); err != nil {
		return Operation{}, err
	}
	if r.Table != "" {
		if _, err := s.Catalog.Table(ctx, r.Table); err != nil {
			return Operation{}, err
		}
	}
	return s.run(ctx, KindVerify, r, report, func(ctx context.Context, t *tracker) (string, error) {
		tables, err := s.tables(ctx, r.Table, func(t *meta.Table) bool { return t.Config.BackupEnabled })
		if err != nil {
			return "", err
		}
		for _, table := range tables {
			if err := s.verifyTable(ctx, table.Name, r, t); err != nil && !gone(err) {
				return "", fmt.Errorf("table %s: %w", table.Name, err)
			}
		}
		op := t.now()
		message := fmt.Sprintf("%s with %s and %s would be restored", count(len(tables), "table"), count(op.Files-op.Problems, "file"), count(op.Rows, "row"))
		if op.Problems > 0 {
			message += fmt.Sprintf("; %s would not", count(op.Problems, "file"))
		}
		return message, nil
	})
}

func (s *Service) verifyTable(ctx context.Context, name string, r Request, t *tracker) error {
	x, err := s.take(ctx, name)
	if err != nil {
		return err
	}
	defer x.remove()
	t.change(func(op *Operation) { op.FilesTotal += x.count })
	deep := r.Deep || s.Primary.Ping(ctx) != nil
	group, limited := errgroup.WithContext(ctx)
	group.SetLimit(s.o.Parallel)
	err = x.each(limited, func(f meta.File) error {
		group.Go(func() error {
			why, err := s.verifyFile(limited, f, deep)
			if err != nil {
				return err
			}
			if why != "" {
				t.problem(f.Path + ": " + why)
			}
			t.change(func(op *Operation) {
				op.Files++
				op.Bytes += f.Bytes
				if why == "" {
					op.Rows += f.Rows
				}
			})
			return nil
		})
		return nil
	})
	if failed := group.Wait(); failed != nil {
		return failed
	}
	return err
}

// verifyFile tells what is wrong with a file; err means that it cannot be
// told.
func (s *Service) verifyFile(ctx context.Context, f meta.File, deep bool) (why string, err error) {
	info, err := s.Spare.Stat(ctx, f.Path)
	if errors.Is(err, objstore.ErrNotFound) {
		if _, queued, findErr := s.Queue.Find(ctx, f.Path); findErr == nil && queued {
			return "it waits in the queue and is not in the backup yet", nil
		}
		return "it is not in the backup", nil
	}
	if err != nil {
		return "", err
	}
	if info.Size != f.Bytes {
		return fmt.Sprintf("it has %d bytes, %d in the index", info.Size, f.Bytes), nil
	}
	if !deep {
		err = transfer.Same(ctx, s.Primary, s.Spare, f.Path)
		deep = errors.Is(err, objstore.ErrNotFound)
	}
	if deep {
		err = transfer.Intact(ctx, s.Spare, f.Path)
	}
	if errors.Is(err, transfer.ErrDiffers) {
		return err.Error(), nil
	}
	if err != nil {
		return "", err
	}
	rows, err := rowsOf(ctx, s.Spare, f.Path, info.Size)
	if fault.CodeOf(err) == fault.FailedPrecondition {
		return err.Error(), nil
	}
	if err == nil && rows != f.Rows {
		why = fmt.Sprintf("it has %d rows, %d in the index", rows, f.Rows)
	}
	return why, err
}

// rowsOf reads the number of rows from a Parquet file's footer; what is no
// Parquet is FailedPrecondition.
func rowsOf(ctx context.Context, s objstore.Store, key string, size int64) (rows int64, err error) {
	at := ranged.New(ctx, s, key, size)
	defer func() {
		if p := recover(); p != nil { // a damaged footer
			err = fmt.Errorf("%v", p)
		}
		switch failed := at.Err(); {
		case failed != nil:
			err = failed
		case err != nil:
			err = fault.Newf(fault.FailedPrecondition, "it is no Parquet file: %w", err)
		}
	}()
	p, err := file.NewParquetReader(io.NewSectionReader(at, 0, size))
	if err != nil {
		return 0, err
	}
	defer p.Close()
	return p.NumRows(), nil
}
