package bench

import (
	"context"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"skein/bench/answer"
)

// engine answers queries: the server, or DuckDB in this process.
type engine interface {
	// query runs sql and fetches all rows. The caller releases the result.
	query(ctx context.Context, sql string) (*result, error)
}

// result is all rows of a query.
type result struct {
	schema  *arrow.Schema
	batches []arrow.RecordBatch
}

// drain reads r to its end. It does not release r.
func drain(r array.RecordReader) (*result, error) {
	res := &result{schema: r.Schema()}
	for r.Next() {
		b := r.RecordBatch()
		b.Retain()
		res.batches = append(res.batches, b)
	}
	if err := r.Err(); err != nil {
		res.release()
		return nil, err
	}
	return res, nil
}

func (r *result) release() {
	for _, b := range r.batches {
		b.Release()
	}
	r.batches = nil
}

// timed is a query's answer and how long it took until the last row was here.
func timed(parent context.Context, e engine, sql string, timeout time.Duration) (answer.Answer, time.Duration, error) {
	ctx, cancel := context.WithTimeout(parent, timeout)
	defer cancel()
	start := time.Now()
	res, err := e.query(ctx, sql)
	took := time.Since(start)
	if parent.Err() != nil {
		err = context.Cause(parent)
	}
	if err != nil {
		if res != nil {
			res.release()
		}
		return answer.Answer{}, took, err
	}
	defer res.release()
	return answer.Of(res.schema, res.batches), took, nil
}
