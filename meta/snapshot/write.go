package snapshot

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/internal/evolution"
)

const historyDefault = 1_000

// Source is what a snapshot is made of: some methods of meta.Store.
type Source interface {
	CatalogVersion(ctx context.Context) (meta.Semver, error)
	History(ctx context.Context, limit int) ([]meta.Change, error)
	Nodes(ctx context.Context) ([]meta.Node, error)
	Ring(ctx context.Context) (meta.Ring, error)
	Tables(ctx context.Context) ([]meta.Table, error)
	ReadImage(ctx context.Context, table string, f func(meta.Image) error) error
}

// born is a Source that is a whole catalog.
type born interface {
	Birth(ctx context.Context) (string, error)
}

// birthOf is the catalog's name; empty if the source is none.
func birthOf(ctx context.Context, s Source) (string, error) {
	if b, ok := s.(born); ok {
		return b.Birth(ctx)
	}
	return "", nil
}

// Options of a snapshot.
type Options struct {
	Compress bool                         // by zstd
	History  int                          // changes that are kept; 1,000 if zero
	Pool     map[string]map[string]string // state of the pools, such as pool:redis:status
	At       time.Time                    // now if zero
	Least    meta.Semver                  // that the catalog's version must be; any if zero
}

// Write writes a snapshot of the catalog. On error, what was written is of no
// use.
func Write(ctx context.Context, w io.Writer, s Source, o Options) (Summary, error) {
	if o.History == 0 {
		o.History = historyDefault
	}
	if o.At.IsZero() {
		o.At = time.Now()
	}
	counted := &counter{w: w}
	if !o.Compress {
		return write(ctx, counted, counted, s, o)
	}
	z, err := zstd.NewWriter(counted, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return Summary{}, fmt.Errorf("snapshot: %w", err)
	}
	sum, err := write(ctx, z, counted, s, o)
	if err = errors.Join(err, z.Close()); err != nil {
		return Summary{}, err
	}
	sum.Size = counted.n
	return sum, nil
}

// counter counts what goes to a writer.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func write(ctx context.Context, w io.Writer, counted *counter, s Source, o Options) (Summary, error) {
	h, err := header(ctx, s, o)
	if err != nil {
		return Summary{}, err
	}
	out := newWriter(w)
	out.members(h)
	out.text(",\n\"tables\":[")
	totals, err := tables(ctx, out, s)
	if err == nil {
		err = grown(ctx, s, h.Birth, h.Version, o.Least)
	}
	if err != nil {
		return Summary{}, err
	}
	out.text("\n],\n\"totals\":")
	out.json(totals)
	sum, err := out.finish()
	return Summary{Version: h.Version, At: h.At, Totals: totals, Checksum: sum, Size: counted.n}, err
}

// grown refuses, by FailedPrecondition, a catalog whose version lies before one
// of those, or that is another one: it was lost while it was read.
func grown(ctx context.Context, s Source, birth string, versions ...meta.Semver) error {
	now, err := s.CatalogVersion(ctx)
	if err != nil {
		return err
	}
	another, err := birthOf(ctx, s)
	if err != nil {
		return err
	}
	if another != birth {
		return fault.New(fault.FailedPrecondition, "the catalog was lost meanwhile, and another one is in its place: there is no snapshot of it")
	}
	for _, v := range versions {
		if now.Compare(v) < 0 {
			return fault.Newf(fault.FailedPrecondition, "the catalog has version %s and had %s: it was lost meanwhile, there is no snapshot of it", now, v)
		}
	}
	return nil
}

func header(ctx context.Context, s Source, o Options) (h Header, err error) {
	h = Header{Format: Format, At: o.At.UTC(), Who: meta.WriterOf(ctx).Who, Pool: o.Pool}
	if h.Birth, err = birthOf(ctx, s); err != nil {
		return h, err
	}
	if h.Version, err = s.CatalogVersion(ctx); err != nil {
		return h, err
	}
	if h.History, err = s.History(ctx, o.History); err != nil {
		return h, err
	}
	if h.Nodes, err = s.Nodes(ctx); err != nil {
		return h, err
	}
	h.Ring, err = s.Ring(ctx)
	return h, err
}

func tables(ctx context.Context, out *writer, s Source) (totals Totals, err error) {
	all, err := s.Tables(ctx)
	if err != nil {
		return totals, err
	}
	for _, t := range all {
		err := s.ReadImage(ctx, t.Name, func(img meta.Image) error {
			if totals.Tables > 0 {
				out.text(",")
			}
			totals.Tables++
			return table(out, img, &totals)
		})
		if errors.Is(err, meta.ErrTableNotFound) {
			continue // dropped meanwhile
		}
		if err != nil {
			return totals, fmt.Errorf("snapshot of table %s: %w", t.Name, err)
		}
	}
	return totals, nil
}

func table(out *writer, img meta.Image, totals *Totals) error {
	h := tableHeader{Table: img.Table, Schemas: evolution.Encode(img.Table.Schemas), IndexVersion: img.Version,
		Units: img.Units, Open: img.Open, Count: img.Count}
	h.Table.Schemas = nil
	out.text("\n")
	out.members(h)
	out.text(",\n\"files\":[")
	n := int64(0)
	for page, err := range img.Files {
		if err != nil {
			return err
		}
		for _, f := range page {
			if n++; n > 1 {
				out.text(",")
			}
			out.text("\n")
			out.json(f)
			totals.Files++
			totals.Rows += f.Rows
			totals.Bytes += f.Bytes
		}
		if out.err != nil {
			return out.err
		}
	}
	if n != img.Count {
		return fmt.Errorf("the index has %d files, %d were read: %w", img.Count, n, meta.ErrConflict)
	}
	out.text("\n]}")
	return out.err
}

// writer writes text and JSON, and remembers the first error.
type writer struct {
	to  *bufio.Writer
	sum hash.Hash
	err error
}

func newWriter(w io.Writer) *writer {
	sum := sha256.New()
	return &writer{to: bufio.NewWriterSize(io.MultiWriter(w, sum), 256<<10), sum: sum}
}

func (w *writer) text(s string) {
	if _, err := w.to.WriteString(s); err != nil && w.err == nil {
		w.err = fmt.Errorf("snapshot: %w", err)
	}
}

func (w *writer) json(value any) {
	data, err := json.Marshal(value)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("snapshot: %w", err)
	}
	w.text(string(data))
}

// members writes an object without its last brace.
func (w *writer) members(value any) {
	data, err := json.Marshal(value)
	if err != nil {
		w.err = errors.Join(w.err, fmt.Errorf("snapshot: %w", err))
		return
	}
	w.text(string(data[:len(data)-1]))
}

// finish adds the checksum.
func (w *writer) finish() (string, error) {
	if err := w.to.Flush(); err != nil && w.err == nil {
		w.err = fmt.Errorf("snapshot: %w", err)
	}
	sum := hex.EncodeToString(w.sum.Sum(nil))
	w.text(trailerA + sum + trailerB)
	if err := w.to.Flush(); err != nil && w.err == nil {
		w.err = fmt.Errorf("snapshot: %w", err)
	}
	return sumPrefix + sum, w.err
}
