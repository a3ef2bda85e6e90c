//go:build duckdb_arrow

package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/coordinator"
	"skein/internal/batch"
	"skein/internal/fault"
)

// stream is n rows of an id, a time and a number, in batches of 100; after
// failAt rows it breaks.
type stream struct {
	schema  *arrow.Schema
	from, n int
	failAt  int
	current arrow.RecordBatch
}

func newStream(from, n int) *stream {
	return &stream{from: from, n: n, failAt: -1, schema: arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "timestamp", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, Nullable: true},
		{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	}, nil)}
}

var errBroken = errors.New("the client went away")

func (s *stream) Schema() *arrow.Schema { return s.schema }

func (s *stream) Next(context.Context) (arrow.RecordBatch, error) {
	s.Close()
	if s.failAt >= 0 && s.from >= s.failAt {
		return nil, errBroken
	}
	if s.n == 0 {
		return nil, io.EOF
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, s.schema)
	defer b.Release()
	for range min(s.n, 100) {
		b.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("id-%d", s.from%7))
		b.Field(1).(*array.TimestampBuilder).Append(arrow.Timestamp(start.UnixMicro() + int64(s.from)*3_600_000_000))
		b.Field(2).(*array.Int64Builder).Append(int64(s.from))
		s.from, s.n = s.from+1, s.n-1
	}
	s.current = b.NewRecordBatch()
	return s.current, nil
}

func (s *stream) Close() error {
	if s.current != nil {
		s.current.Release()
		s.current = nil
	}
	return nil
}

func TestIngestModes(t *testing.T) {
	c := newCluster(t, 1).nodes[0].Coordinator
	ingest := func(mode coordinator.IngestMode, r batch.Reader) (int64, error) {
		defer r.Close()
		return c.Ingest(t.Context(), coordinator.Ingest{Table: "T", Mode: mode, IDColumn: "id", TimeColumn: "timestamp"}, r)
	}
	broken := func() batch.Reader { s := newStream(0, 1000); s.failAt = 500; return s }
	for i, step := range []struct {
		mode  coordinator.IngestMode
		r     batch.Reader
		code  fault.Code
		fails bool
		count string
	}{
		{coordinator.IngestAppend, newStream(0, 1), fault.NotFound, true, ""},
		{coordinator.IngestCreate, broken(), fault.Internal, true, ""},
		{coordinator.IngestCreate, newStream(0, 300), 0, false, "300"},
		{coordinator.IngestCreate, newStream(0, 300), fault.AlreadyExists, true, "300"},
		{coordinator.IngestAppend, newStream(300, 300), 0, false, "600"},
		{coordinator.IngestAppend, broken(), fault.Internal, true, "600"},
		{coordinator.IngestCreateOrAppend, newStream(600, 100), 0, false, "700"},
		{coordinator.IngestReplace, broken(), fault.Internal, true, "700"},
		{coordinator.IngestReplace, newStream(0, 50), 0, false, "50"},
		{coordinator.IngestReplace, newStream(0, 0), 0, false, "0"},
	} {
		n, err := ingest(step.mode, step.r)
		if (err != nil) != step.fails || err != nil && fault.CodeOf(err) != step.code {
			t.Fatalf("step %d: %d rows, %v", i, n, err)
		}
		if step.count == "" {
			if _, err := c.DescribeTable(t.Context(), "t"); fault.CodeOf(err) != fault.NotFound {
				t.Errorf("step %d: the table is there: %v", i, err)
			}
			continue
		}
		if got := one(t, c, "SELECT count(DISTINCT n) FROM t"); got != step.count {
			t.Errorf("step %d: %s rows, want %s", i, got, step.count)
		}
	}
}

// TestIngestIntoRecords appends to a table of the Write API, and then writes
// what makes the column DOUBLE or, because an integer is beyond 2^53, text.
func TestIngestIntoRecords(t *testing.T) {
	c := newCluster(t, 1).nodes[0].Coordinator
	create(t, c, "t")
	write(t, c, "t", 0, 10)
	s := newStream(1<<53+1, 10)
	defer s.Close()
	if _, err := c.Ingest(t.Context(), coordinator.Ingest{Table: "t"}, s); err == nil {
		t.Error("times of the year 1000000 were taken")
	}
	s = newStream(1000, 10)
	defer s.Close()
	n, err := c.Ingest(t.Context(), coordinator.Ingest{Table: "t"}, s)
	if n != 10 || err != nil {
		t.Fatal(n, err)
	}
	check(t, c.Write(t.Context(), "t", []coordinator.Record{{ID: "x", Timestamp: start, Payload: []byte(`{"n": 0.5}`)}}))
	if got := one(t, c, "SELECT count(*) || ' ' || typeof(any_value(n)) FROM t"); got != "21 VARCHAR" {
		t.Errorf("got %s: 64-bit integers that nobody looked at must not become DOUBLE", got)
	}
	if got := one(t, c, "SELECT n FROM t WHERE id = 'id-2' AND n LIKE '1%' AND n = '1003'"); got != "1003" {
		t.Error(got)
	}
}
