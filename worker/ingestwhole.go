package worker

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"golang.org/x/sync/errgroup"

	"skein/internal/batch"
	"skein/meta"
)

// copiesMax is how many files of an ingest without partitions are written at
// once: one is compressed while another's rows are taken in.
const copiesMax = 2

// runWhole writes chunk after chunk, each as a file, straight from the batches.
// They are gathered before: DuckDB's threads must not wait for a client.
func (in *ingest) runWhole(ctx context.Context, rows *chunkReader) (n int64, err error) {
	copies, cctx := errgroup.WithContext(ctx)
	copies.SetLimit(copiesMax)
	defer func() {
		if copyErr := copies.Wait(); copyErr != nil && (err == nil || errors.Is(err, context.Canceled)) {
			err = copyErr
		}
	}()
	rows.bytesMax = max(1, rows.bytesMax/(copiesMax+1)) // all chunks in memory are below the limit
	for !rows.ended {
		rows.rows, rows.bytes, rows.rowsMax = 0, 0, in.chunkRows(n)
		batches, err := retained(cctx, rows)
		if err != nil {
			return n, err
		}
		chunk := batch.NewSlice(rows.Schema(), batches...)
		if rows.rows == 0 {
			chunk.Close()
			continue
		}
		f := &meta.File{Day: in.arrived, Path: in.path(meta.NoID, in.arrived), Rows: rows.rows}
		if err := in.add(f); err != nil {
			chunk.Close()
			return n, err
		}
		n += rows.rows
		copies.Go(func() error {
			defer chunk.Close()
			local, err := in.copyWhole(cctx, chunk, f)
			if err == nil {
				in.upload(ctx, local, f)
			}
			return err
		})
	}
	return n, nil
}

// retained are the batches of a reader up to its end. The caller releases them.
func retained(ctx context.Context, r batch.Reader) (all []arrow.RecordBatch, err error) {
	for {
		b, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			for _, b := range all {
				b.Release()
			}
			return nil, err
		}
		b.Retain()
		all = append(all, b)
	}
}

// copyWhole writes a chunk into a local file, on a connection of its own.
func (in *ingest) copyWhole(ctx context.Context, chunk batch.Reader, f *meta.File) (local string, err error) {
	conn, err := in.w.db.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	local = in.w.tempFile()
	_, err = conn.ExecOver(ctx, chunk, func(view string) string {
		return in.copySQL("SELECT "+strings.Join(in.exprs, ", ")+" FROM (SELECT * FROM "+view+")", local, f)
	})
	if err != nil {
		os.Remove(local)
	}
	return local, err
}
