package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/apache/arrow-adbc/go/adbc"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"skein/bench/cluster"
	"skein/internal/batch"
	"skein/internal/duck"
	"skein/internal/fault"
)

// Tables of suite stream.
const (
	streamTable  = "stream_lineitem" // as it is ingested
	streamedRows = "stream_numbers"  // three columns of many rows
)

// streamWorkers are those of the cluster that gives the large result.
const streamWorkers = 2

// StreamReport is of suite stream. Each ratio is of DuckDB's time to Skein's in
// the same round: higher is better.
type StreamReport struct {
	Rows   int64          `json:"rows"` // of lineitem
	Bytes  int64          `json:"bytes"`
	Ingest StreamRace     `json:"ingest"`
	Read   StreamRace     `json:"read"`
	Peers  []StreamPeer   `json:"peers,omitempty"`
	Large  []StreamResult `json:"large"`
}

// StreamRace is the same work done in turns.
type StreamRace struct {
	SkeinMS []float64 `json:"skein_ms"`
	DuckMS  []float64 `json:"duckdb_ms"`
	Ratio   float64   `json:"ratio"` // the median of the rounds'
}

// StreamPeer is another server that reads the same files, in the same rounds.
type StreamPeer struct {
	Name  string    `json:"name"`
	MS    []float64 `json:"ms"`
	Ratio float64   `json:"ratio"` // of its time to Skein's, the median of the rounds'
	Error string    `json:"error,omitempty"`
}

// StreamResult is one read of the large table.
type StreamResult struct {
	Nodes   string  `json:"nodes"`
	Cold    bool    `json:"cold"` // the nodes have just been started
	Rows    int64   `json:"rows"`
	FirstMS float64 `json:"first_batch_ms"`
	MS      float64 `json:"ms"`
	GrownMB float64 `json:"grown_mb"` // the node that grew most while the rows were read
}

// runStream measures streams of rows in both directions.
func runStream(ctx context.Context, w *own) (*StreamReport, error) {
	report := &StreamReport{}
	dir, err := os.MkdirTemp(w.o.TempDir, "skein-bench-")
	if err != nil {
		return report, invalid("temporary directory: %w", err)
	}
	defer os.RemoveAll(dir)
	if dir, err = filepath.Abs(dir); err != nil {
		return report, err
	}
	if err := w.streamSingle(ctx, dir, report); err != nil {
		return report, fmt.Errorf("one node: %w", err)
	}
	if err := w.streamCluster(ctx, report); err != nil {
		return report, fmt.Errorf("%d workers: %w", streamWorkers, err)
	}
	return report, nil
}

// streamSingle races with DuckDB and the peers on one node.
func (w *own) streamSingle(ctx context.Context, dir string, report *StreamReport) error {
	files := w.files[factTable]
	db, err := duck.Open(duck.Options{TempDir: dir, AllowedDirs: append([]string{dir}, dirsOf(files)...)})
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	node, err := cluster.Single(ctx, w.o.Program, filepath.Join(dir, "node"), w.o.Threads)
	if err != nil {
		return err
	}
	defer node.Stop()
	s, err := w.dial(ctx, node)
	if err != nil {
		return err
	}
	defer s.close()
	if err := w.raceIngest(ctx, s, conn, dir, report); err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	if err := w.raceRead(ctx, s, conn, report); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return w.streamLarge(ctx, node, s, report)
}

func dirsOf(files []string) []string {
	dirs := make([]string, len(files))
	for i, f := range files {
		dirs[i] = filepath.Dir(f)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// raceIngest loads the same rows, which are in memory, in turns: with
// adbc_ingest, and with DuckDB's COPY to Parquet with the same compression.
func (w *own) raceIngest(ctx context.Context, s *server, conn *duck.Conn, dir string, report *StreamReport) error {
	in, err := conn.Query(ctx, "SELECT * FROM "+readParquet(w.files[factTable]))
	if err != nil {
		return err
	}
	var all []arrow.RecordBatch
	defer func() {
		for _, b := range all {
			b.Release()
		}
	}()
	for {
		b, err := in.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			in.Close()
			return err
		}
		b.Retain()
		all = append(all, b)
		report.Rows += b.NumRows()
	}
	in.Close()
	rows := func() *batch.Slice {
		for _, b := range all {
			b.Retain()
		}
		return batch.NewSlice(in.Schema(), all...)
	}
	for range w.o.Runs {
		skein, err := durationOf(func() error {
			src := &sending{ctx: ctx, abort: func() {}, rows: rows()}
			defer src.rows.Close()
			defer src.drop()
			n, err := s.ingest(ctx, streamTable, adbc.OptionValueIngestModeReplace, src)
			if err == nil && n != report.Rows {
				err = fault.Newf(fault.Internal, "the server says it stored %d rows of %d", n, report.Rows)
			}
			return err
		})
		if err != nil {
			return err
		}
		duckdb, err := durationOf(func() error {
			r := rows()
			defer r.Close()
			_, err := conn.ExecOver(ctx, r, func(view string) string {
				return "COPY (SELECT * FROM " + view + ") TO " + duck.Literal(filepath.Join(dir, "copy.parquet")) + " (FORMAT parquet, COMPRESSION zstd)"
			})
			return err
		})
		if err != nil {
			return fmt.Errorf("duckdb in process: %w", err)
		}
		report.Ingest.add(skein, duckdb)
		fmt.Fprintf(w.o.Progress, "ingest of %d rows: %.2f s, DuckDB's COPY %.2f s\n", report.Rows, skein.Seconds(), duckdb.Seconds())
	}
	report.Ingest.Ratio = medianRatio(report.Ingest.DuckMS, report.Ingest.SkeinMS)
	return nil
}

// raceRead reads all columns to Arrow, in turns.
func (w *own) raceRead(ctx context.Context, s *server, conn *duck.Conn, report *StreamReport) error {
	peers := startPeers(ctx, w.o, w.files[factTable])
	defer peers.stop()
	for range w.o.Runs {
		var got, want int64
		skein, err := durationOf(func() (err error) {
			got, report.Bytes, err = drained(ctx, s, "SELECT * FROM "+streamTable)
			return err
		})
		if err != nil {
			return err
		}
		duckdb, err := durationOf(func() (err error) {
			want, err = drainedDuck(ctx, conn, "SELECT * FROM "+readParquet(w.files[factTable]))
			return err
		})
		if err != nil {
			return fmt.Errorf("duckdb in process: %w", err)
		}
		if got != want {
			return fault.Newf(fault.Internal, "the server gave %d rows of %d", got, want)
		}
		report.Read.add(skein, duckdb)
		fmt.Fprintf(w.o.Progress, "read of %d rows: %.2f s, DuckDB %.2f s\n", got, skein.Seconds(), duckdb.Seconds())
		peers.read(ctx, want)
	}
	report.Read.Ratio = medianRatio(report.Read.DuckMS, report.Read.SkeinMS)
	report.Peers = peers.report(report.Read.SkeinMS)
	return nil
}

func drained(ctx context.Context, s *server, sql string) (rows, bytes int64, err error) {
	err = s.stream(ctx, sql, func(r array.RecordReader) error {
		for r.Next() {
			rows += r.RecordBatch().NumRows()
			for _, c := range r.RecordBatch().Columns() {
				bytes += int64(c.Data().SizeInBytes())
			}
		}
		return r.Err()
	})
	return rows, bytes, err
}

func drainedDuck(ctx context.Context, conn *duck.Conn, sql string) (rows int64, err error) {
	r, err := conn.Query(ctx, sql)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	for {
		b, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows += b.NumRows()
	}
}

func durationOf(f func() error) (time.Duration, error) {
	start := time.Now()
	err := f()
	return time.Since(start), err
}

func (r *StreamRace) add(skein, duckdb time.Duration) {
	r.SkeinMS, r.DuckMS = append(r.SkeinMS, millis(skein)), append(r.DuckMS, millis(duckdb))
}

// medianRatio is the median of a's to b's, pair by pair.
func medianRatio(a, b []float64) float64 {
	n := min(len(a), len(b))
	if n == 0 {
		return 0
	}
	all := make([]float64, n)
	for i := range n {
		all[i] = ratio(a[i], b[i])
	}
	slices.Sort(all)
	if n%2 == 1 {
		return all[n/2]
	}
	return (all[n/2-1] + all[n/2]) / 2
}
