package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// dropTimeout bounds the clean-up of a run that was stopped.
const dropTimeout = 30 * time.Second

// writeMode is one way of writing: requests of the same number of records.
type writeMode struct {
	name        string
	mediaType   string
	first       int // record of the first request
	requests    int
	rowsRequest int
}

// modes lays the records of all modes behind one another.
func modes(o Options) []writeMode {
	return []writeMode{
		{name: "single", mediaType: jsonMediaType, requests: o.Singles, rowsRequest: 1},
		{name: "ndjson", mediaType: ndjsonMediaType, first: o.Singles, requests: o.Batches, rowsRequest: o.BatchRows},
	}
}

// records are those of one request.
func (m writeMode) records(request int) []record {
	records := make([]record, m.rowsRequest)
	for i := range records {
		records[i] = recordOf(m.first + request*m.rowsRequest + i)
	}
	return records
}

// runWrites writes to the server and to the peer, mode by mode, and reads the
// server's table back.
func runWrites(ctx context.Context, o Options, s *server) (_ *WritesReport, err error) {
	r, err := newREST(o)
	if err != nil {
		return nil, err
	}
	defer r.close()
	table := "skein_bench_" + strconv.FormatInt(time.Now().UnixNano(), 36)
	if err := r.createTable(ctx, table); err != nil {
		return nil, fmt.Errorf("create table %s: %w", table, err)
	}
	report := &WritesReport{Connections: o.Connections, Modes: []WriteReport{}}
	defer func() {
		if o.KeepTable || report.bad() {
			fmt.Fprintf(o.Progress, "table %s is left on the server\n", table)
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTimeout)
		defer cancel()
		if dropErr := r.dropTable(ctx, table); dropErr != nil {
			err = errors.Join(err, fmt.Errorf("drop table %s: %w", table, dropErr))
		}
	}()
	peer, err := openWritePeer(ctx, o.TempDir, o.Connections)
	if err != nil {
		return report, err
	}
	defer peer.close()
	for _, m := range modes(o) {
		w, err := runMode(ctx, m, o.Connections, &restTarget{rest: r, table: table}, peer)
		if err != nil {
			return report, fmt.Errorf("%s writes: %w", m.name, err)
		}
		report.Modes = append(report.Modes, w)
		report.Rows += w.Rows
		fmt.Fprintf(o.Progress, "%s writes: %.0f rows/s, DuckDB %.0f rows/s\n", w.Name, w.Skein.RowsPerSecond, w.DuckDB.RowsPerSecond)
	}
	if err := peer.check(ctx, report.Rows); err != nil {
		return report, err
	}
	return report, verify(ctx, s, table, report)
}

// target takes records. Connections are numbered from 0, and each is used by
// one goroutine.
type target interface {
	// prepare readies a request; it is not measured.
	prepare(m writeMode, records []record) request
}

// request writes its records durably and returns how often it was told to come
// later.
type request func(ctx context.Context, connection int) (retries int, err error)

func runMode(ctx context.Context, m writeMode, connections int, skein, duck target) (WriteReport, error) {
	w := WriteReport{Name: m.name, RowsRequest: m.rowsRequest, Rows: m.requests * m.rowsRequest}
	var err error
	if w.Skein, err = measure(ctx, m, connections, skein); err != nil {
		return w, err
	}
	if w.DuckDB, err = measure(ctx, m, connections, duck); err != nil {
		return w, fmt.Errorf("duckdb in process: %w", err)
	}
	w.Ratio = ratio(w.Skein.RowsPerSecond, w.DuckDB.RowsPerSecond)
	return w, nil
}

// measure sends all requests of a mode over some connections at once.
func measure(ctx context.Context, m writeMode, connections int, t target) (Rate, error) {
	requests := make([]request, m.requests)
	for i := range requests {
		requests[i] = t.prepare(m, m.records(i))
	}
	latencies := make([]time.Duration, m.requests)
	var next, retries atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	start := time.Now()
	for connection := range min(connections, m.requests) {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(requests) {
					return nil
				}
				sent := time.Now()
				n, err := requests[i](ctx, connection)
				if err != nil {
					return err
				}
				latencies[i] = time.Since(sent)
				retries.Add(int64(n))
			}
		})
	}
	err := group.Wait()
	rate := rateOf(m.requests*m.rowsRequest, time.Since(start), latencies)
	rate.Retries = int(retries.Load())
	return rate, err
}

// restTarget writes by POST /v1/data.
type restTarget struct {
	rest  *rest
	table string
}

// prepare implements target.
func (t *restTarget) prepare(m writeMode, records []record) request {
	var body []byte
	ends := make([]int, len(records))
	for i, r := range records {
		body = append(r.appendJSON(body, t.table), '\n')
		ends[i] = len(body)
	}
	return func(ctx context.Context, _ int) (int, error) { return t.write(ctx, m.mediaType, body, ends) }
}

// write sends lines, whose ends in body it is told. Where the server says that
// its buffers are full it waits and sends what is not stored yet.
func (t *restTarget) write(ctx context.Context, mediaType string, body []byte, ends []int) (retries int, err error) {
	stored := 0
	for from := 0; ; retries++ {
		err := t.rest.do(ctx, http.MethodPost, "/v1/data", mediaType, body[from:])
		var e *refusal
		if !errors.As(err, &e) || e.status != http.StatusTooManyRequests || retries == retriesMax {
			return retries, err
		}
		if n, err := strconv.Atoi(e.Details["records_written"]); err == nil && n > 0 {
			stored = min(stored+n, len(ends))
			from = ends[stored-1]
		}
		if stored == len(ends) {
			return retries + 1, nil
		}
		select {
		case <-ctx.Done():
			return retries, context.Cause(ctx)
		case <-time.After(min(max(e.retryAfter, retryDelayMin), retryDelayMax)):
		}
	}
}
