package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/apache/arrow-adbc/go/adbc"
	"github.com/apache/arrow-go/v18/arrow"

	"skein/bench/tpch"
	"skein/internal/batch"
	"skein/internal/duck"
	"skein/internal/fault"
)

// sendBytes is about how large a batch may be when it is sent; larger ones are
// cut by rows.
const sendBytes = 4 << 20

// loader brings the data set's tables to the server.
type loader struct {
	server   *server
	files    map[string][]string
	mode     string // Options.Load
	progress io.Writer
}

// load makes every table be there with the files' rows.
func (l *loader) load(ctx context.Context) ([]TableReport, error) {
	var dirs []string
	for _, paths := range l.files {
		if dir := filepath.Dir(paths[0]); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	db, err := duck.Open(duck.Options{AllowedDirs: dirs})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	reports := []TableReport{}
	for _, name := range tpch.Tables() {
		t, err := l.table(ctx, conn, name)
		if err != nil {
			return reports, fmt.Errorf("table %s: %w", name, err)
		}
		reports = append(reports, t)
	}
	return reports, nil
}

func (l *loader) table(ctx context.Context, conn *duck.Conn, name string) (TableReport, error) {
	t := TableReport{Name: name}
	rows, err := conn.Strings(ctx, "SELECT count(*) FROM "+readParquet(l.files[name]))
	if err == nil {
		t.Rows, err = strconv.ParseInt(rows[0][0], 10, 64)
	}
	if err != nil {
		return t, err
	}
	have, exists, err := l.server.count(ctx, name)
	if err != nil || exists && have == t.Rows {
		return t, err
	}
	mode, err := l.ingestMode(have, exists, t.Rows)
	if err != nil {
		return t, err
	}
	start := time.Now()
	n, err := l.ingest(ctx, conn, name, mode)
	if err == nil && n >= 0 && n != t.Rows {
		err = fault.Newf(fault.Internal, "the server says it stored %d rows of %d", n, t.Rows)
	}
	if err != nil {
		return t, err
	}
	t.Loaded, t.Seconds = true, time.Since(start).Seconds()
	fmt.Fprintf(l.progress, "loaded %s: %d rows in %.1f s\n", name, t.Rows, t.Seconds)
	return t, nil
}

// ingestMode decides about a table that is not as the files are.
func (l *loader) ingestMode(have int64, exists bool, want int64) (string, error) {
	switch {
	case !exists && l.mode == LoadNever:
		return "", fault.Newf(fault.NotFound, "is not on the server: load it, or let the bench load it (load mode %s)", LoadAuto)
	case !exists:
		return adbc.OptionValueIngestModeCreate, nil
	case l.mode == LoadReplace:
		return adbc.OptionValueIngestModeReplace, nil
	}
	return "", fault.Newf(fault.AlreadyExists, "has %d rows on the server, the files have %d: use another server or data set, or let it be replaced (load mode %s)", have, want, LoadReplace)
}

func (l *loader) ingest(ctx context.Context, conn *duck.Conn, name, mode string) (int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rows, err := conn.Query(ctx, "SELECT * FROM "+readParquet(l.files[name]))
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	src := &sending{ctx: ctx, abort: cancel, rows: rows}
	defer src.drop()
	n, err := l.server.ingest(ctx, name, mode, src)
	if src.err != nil {
		return 0, src.err
	}
	return n, err
}

// sending gives a batch.Reader to ADBC in pieces of about sendBytes. It owns
// the piece that it gave last.
type sending struct {
	ctx   context.Context
	abort context.CancelFunc
	rows  batch.Reader
	whole arrow.RecordBatch // what is being cut; owned by rows
	from  int64             // first row of whole that was not given yet
	piece arrow.RecordBatch
	err   error
}

func (s *sending) Retain()                        {}
func (s *sending) Release()                       {}
func (s *sending) Schema() *arrow.Schema          { return s.rows.Schema() }
func (s *sending) RecordBatch() arrow.RecordBatch { return s.piece }
func (s *sending) Record() arrow.RecordBatch      { return s.piece }
func (s *sending) Err() error                     { return s.err }

// Next implements array.RecordReader. When the source fails it ends the call
// before ADBC can end the stream well: what a server has of a stream that ends
// well, it keeps.
func (s *sending) Next() bool {
	s.drop()
	if s.whole == nil || s.from >= s.whole.NumRows() {
		b, err := s.rows.Next(s.ctx)
		if errors.Is(err, io.EOF) {
			return false
		}
		if err != nil {
			s.err = err
			s.abort()
			return false
		}
		s.whole, s.from = b, 0
	}
	to := min(s.from+pieceRows(s.whole), s.whole.NumRows())
	s.piece = s.whole.NewSlice(s.from, to)
	s.from = to
	return true
}

// pieceRows is how many rows of b make about sendBytes.
func pieceRows(b arrow.RecordBatch) int64 {
	var bytes int64
	for _, c := range b.Columns() {
		bytes += int64(c.Data().SizeInBytes())
	}
	if bytes <= sendBytes {
		return b.NumRows()
	}
	return max(1, b.NumRows()*sendBytes/bytes)
}

func (s *sending) drop() {
	if s.piece != nil {
		s.piece.Release()
		s.piece = nil
	}
}
