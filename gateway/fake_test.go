package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"go.uber.org/goleak"

	"skein/coordinator"
	"skein/gateway"
	"skein/internal/batch"
	"skein/internal/fault"
	"skein/meta"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a coordinator that keeps records in memory and answers with what a
// test puts in.
type fake struct {
	mu      sync.Mutex
	records []coordinator.Record
	tables  []string // of records
	sizes   []int    // of the batches that were stored
	config  meta.Config

	writeErr func(table string, records []coordinator.Record) error
	rows     func(ctx context.Context, sql string) (batch.Reader, error)
	page     coordinator.TablePage
	table    meta.Table
	nodes    []meta.Node
	health   coordinator.Health
	stats    coordinator.Stats
	err      error // of every call but Write and Query
	calls    []string
}

func (f *fake) called(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, name)
	return f.err
}

func (f *fake) Prepare(_ context.Context, sql string) (*coordinator.Statement, error) {
	st := &coordinator.Statement{}
	if !strings.HasPrefix(sql, "CREATE") && !strings.HasPrefix(sql, "DROP") {
		st.Schema = oneColumn
	}
	return st, f.called("Prepare " + sql)
}

func (f *fake) Query(ctx context.Context, sql string, _ arrow.RecordBatch) (batch.Reader, error) {
	_ = f.called("Query " + sql)
	return f.rows(ctx, sql)
}

func (f *fake) Execute(_ context.Context, sql string, _ arrow.RecordBatch) (int64, error) {
	return -1, f.called("Execute " + sql)
}

func (f *fake) Write(ctx context.Context, table string, records []coordinator.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.writeErr != nil {
		if err := f.writeErr(table, records); err != nil {
			return err
		}
	}
	f.sizes = append(f.sizes, len(records))
	for _, r := range records {
		f.records = append(f.records, r)
		f.tables = append(f.tables, table)
	}
	return nil
}

func (f *fake) CreateTable(_ context.Context, name string, cfg meta.Config, _ bool) (bool, error) {
	f.config = cfg
	return true, f.called("CreateTable " + name)
}

func (f *fake) DropTable(_ context.Context, name string, o coordinator.DropOptions) (int, bool, error) {
	if o.Cascade {
		name += " cascade"
	}
	return 25, true, f.called("DropTable " + name)
}

func (f *fake) ListTables(_ context.Context, pattern string, page, limit int) (coordinator.TablePage, error) {
	p := f.page
	p.Page, p.Limit = page, limit
	return p, f.called("ListTables " + pattern)
}

func (f *fake) DescribeTable(_ context.Context, name string) (meta.Table, error) {
	return f.table, f.called("DescribeTable " + name)
}

func (f *fake) Health(_ context.Context, components []string) (coordinator.Health, error) {
	return f.health, f.called("Health " + strings.Join(components, ","))
}

func (f *fake) Stats(_ context.Context, window time.Duration) (coordinator.Stats, error) {
	return f.stats, f.called("Stats " + window.String())
}

func (f *fake) Nodes(context.Context, bool) ([]meta.Node, error) {
	return f.nodes, f.called("Nodes")
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.records)
}

var oneColumn = arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)

func numbersBatch(values ...int64) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, oneColumn)
	defer b.Release()
	b.Field(0).(*array.Int64Builder).AppendValues(values, nil)
	return b.NewRecordBatch()
}

// answering returns one batch of numbers to every query.
func answering(values ...int64) func(context.Context, string) (batch.Reader, error) {
	return func(context.Context, string) (batch.Reader, error) {
		return batch.NewSlice(oneColumn, numbersBatch(values...)), nil
	}
}

func refusing(err error) func(context.Context, string) (batch.Reader, error) {
	return func(context.Context, string) (batch.Reader, error) { return nil, err }
}

// stepped is a result whose batches come when the test says so.
type stepped struct {
	batches chan arrow.RecordBatch // closed at the end
	err     error                  // given at the end instead of io.EOF
	closed  chan struct{}
	once    sync.Once
	last    arrow.RecordBatch
}

func newStepped() *stepped {
	return &stepped{batches: make(chan arrow.RecordBatch), closed: make(chan struct{})}
}

func (s *stepped) Schema() *arrow.Schema { return oneColumn }

func (s *stepped) Next(ctx context.Context) (arrow.RecordBatch, error) {
	if s.last != nil {
		s.last.Release()
		s.last = nil
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case b, ok := <-s.batches:
		if ok {
			s.last = b
			return b, nil
		}
		if s.err != nil {
			return nil, s.err
		}
		return nil, io.EOF
	}
}

func (s *stepped) Close() error {
	s.once.Do(func() {
		if s.last != nil {
			s.last.Release()
		}
		close(s.closed)
	})
	return nil
}

var arrival = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// serve starts the REST door over the fake.
func serve(t *testing.T, f *fake, o gateway.HandlerOptions, more ...gateway.Options) *httptest.Server {
	t.Helper()
	opts := gateway.Options{Now: func() time.Time { return arrival }}
	for _, m := range more {
		opts = m
	}
	h, err := gateway.NewHandler(gateway.NewService(f, opts), o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Config = gateway.NewServer(h, nil)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

type answer struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

// send makes a request; header is "Name: value" lines.
func send(t *testing.T, s *httptest.Server, method, path, body string, header ...string) answer {
	t.Helper()
	return sendReader(t, s, method, path, strings.NewReader(body), header...)
}

func sendReader(t *testing.T, s *httptest.Server, method, path string, body io.Reader, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text), err}
}

var errBoom = errors.New("boom")

var errTable = fault.New(fault.NotFound, `table "orders": table not found`)
