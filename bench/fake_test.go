//go:build duckdb_arrow

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql/schema_ref"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"

	"skein/internal/batch"
	"skein/internal/duck"
	"skein/internal/fault"
)

// fakeServer stands for a server: Flight SQL and REST over one DuckDB. Its
// hooks make it wrong.
type fakeServer struct {
	flightsql.BaseServer
	t       *testing.T
	addr    string
	url     string
	rewrite func(sql string) string          // before a query runs
	posted  func(records []fakeRecord) reply // before records are stored

	mu      sync.Mutex
	conn    *duck.Conn
	tables  []string
	ingests []string // "mode table rows"
}

// reply is how a POST of records goes: how many are stored, and the status.
type reply struct {
	stored, status int
}

type fakeRecord struct {
	Table     string
	ID        string
	Timestamp string
	Payload   struct {
		Seq   int64
		Name  string
		Value json.Number
		OK    bool
	}
}

func newFake(t *testing.T) *fakeServer {
	t.Helper()
	db, err := duck.Open(duck.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	f := &fakeServer{
		t:       t,
		rewrite: func(sql string) string { return sql },
		posted:  func(r []fakeRecord) reply { return reply{stored: len(r), status: 200} },
	}
	if f.conn, err = db.Conn(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.conn.Close)
	for code, value := range map[flightsql.SqlInfo]any{flightsql.SqlInfoFlightSqlServerName: "Fake", flightsql.SqlInfoFlightSqlServerVersion: "0.1"} {
		if err := f.RegisterSqlInfo(code, value); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.MaxRecvMsgSize(messageBytesMax))
	flight.RegisterFlightServiceServer(s, flightsql.NewFlightServer(f))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(listener)
	}()
	t.Cleanup(func() { s.Stop(); <-done })
	f.addr = listener.Addr().String()
	h := httptest.NewServer(f.rest())
	t.Cleanup(h.Close)
	f.url = h.URL
	return f
}

func (f *fakeServer) exec(sql string) {
	f.t.Helper()
	if _, err := f.conn.Exec(context.Background(), sql); err != nil {
		f.t.Errorf("%s: %v", sql, err)
	}
}

func (f *fakeServer) GetFlightInfoStatement(ctx context.Context, q flightsql.StatementQuery, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.conn.Prepare(ctx, f.rewrite(q.GetQuery()))
	if err != nil {
		return nil, fault.Status(err)
	}
	defer p.Close()
	ticket, err := flightsql.CreateStatementQueryTicket([]byte(q.GetQuery()))
	if err != nil {
		return nil, err
	}
	return &flight.FlightInfo{
		FlightDescriptor: desc, TotalRecords: -1, TotalBytes: -1, Schema: flight.SerializeSchema(p.Schema(), memory.DefaultAllocator),
		Endpoint: []*flight.FlightEndpoint{{Ticket: &flight.Ticket{Ticket: ticket}}},
	}, nil
}

func (f *fakeServer) DoGetStatement(ctx context.Context, t flightsql.StatementQueryTicket) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, err := f.conn.Query(ctx, f.rewrite(string(t.GetStatementHandle())))
	if err != nil {
		return nil, nil, fault.Status(err)
	}
	defer s.Close()
	var chunks []flight.StreamChunk
	for {
		b, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, fault.Status(err)
		}
		b.Retain()
		chunks = append(chunks, flight.StreamChunk{Data: b})
	}
	return s.Schema(), sent(chunks), nil
}

func sent(chunks []flight.StreamChunk) <-chan flight.StreamChunk {
	ch := make(chan flight.StreamChunk, len(chunks))
	for _, c := range chunks {
		ch <- c
	}
	close(ch)
	return ch
}

func (f *fakeServer) GetFlightInfoTables(_ context.Context, _ flightsql.GetTables, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return &flight.FlightInfo{FlightDescriptor: desc, Endpoint: []*flight.FlightEndpoint{{Ticket: &flight.Ticket{Ticket: desc.Cmd}}}}, nil
}

func (f *fakeServer) DoGetTables(_ context.Context, c flightsql.GetTables) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema_ref.TablesWithIncludedSchema)
	defer b.Release()
	if name := *c.GetTableNameFilterPattern(); slices.Contains(f.tables, name) {
		b.Field(0).AppendNull()
		b.Field(1).AppendNull()
		b.Field(2).(*array.StringBuilder).Append(name)
		b.Field(3).(*array.StringBuilder).Append("TABLE")
		b.Field(4).(*array.BinaryBuilder).Append(flight.SerializeSchema(arrow.NewSchema(nil, nil), memory.DefaultAllocator))
	}
	return schema_ref.TablesWithIncludedSchema, sent([]flight.StreamChunk{{Data: b.NewRecordBatch()}}), nil
}

func (f *fakeServer) DoPutCommandStatementIngest(ctx context.Context, c flightsql.StatementIngest, r flight.MessageReader) (int64, error) {
	var batches []arrow.RecordBatch
	for r.Next() {
		b := r.RecordBatch()
		b.Retain()
		batches = append(batches, b)
	}
	if err := r.Err(); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.makeTPCH(c.GetTable())
	rows := batch.NewSlice(r.Schema(), batches...)
	defer rows.Close()
	n, err := f.conn.Load(ctx, c.GetTable(), rows)
	mode := "create"
	if c.GetTableDefinitionOptions().GetIfExists() == flightsql.TableDefinitionOptionsTableExistsOptionReplace {
		mode = "replace"
	}
	f.ingests = append(f.ingests, fmt.Sprintf("%s %s %d", mode, c.GetTable(), n))
	return n, fault.Status(err)
}

// makeTPCH makes or empties a table of the data set.
func (f *fakeServer) makeTPCH(name string) {
	f.exec("DROP TABLE IF EXISTS " + name)
	for _, statement := range schema(f.t) {
		if strings.HasPrefix(statement, "CREATE TEMP TABLE "+name+" ") {
			f.exec(statement)
		}
	}
	if !slices.Contains(f.tables, name) {
		f.tables = append(f.tables, name)
	}
}

// schema is the statements that make TPC-H's tables.
func schema(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("tpch/testdata/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// rest serves what the writes use.
func (f *fakeServer) rest() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/tables", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Name string `json:"table_name"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			f.t.Error(err)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.tables = append(f.tables, in.Name)
		f.exec("CREATE TEMP TABLE " + in.Name + ` (id VARCHAR, "timestamp" TIMESTAMPTZ, seq BIGINT, name VARCHAR, value DOUBLE, ok BOOLEAN)`)
	})
	mux.HandleFunc("DELETE /v1/tables/{name}", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("cascade") != "true" {
			f.t.Error("a table was dropped without its data")
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.exec("DROP TABLE " + r.PathValue("name"))
		f.tables = slices.DeleteFunc(f.tables, func(s string) bool { return s == r.PathValue("name") })
	})
	mux.HandleFunc("POST /v1/data", f.data)
	return mux
}

func (f *fakeServer) data(w http.ResponseWriter, r *http.Request) {
	var records []fakeRecord
	for d := json.NewDecoder(r.Body); ; {
		var rec fakeRecord
		if err := d.Decode(&rec); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			f.t.Error(err)
			return
		}
		records = append(records, rec)
	}
	if many := r.Header.Get("Content-Type") == ndjsonMediaType; !many && len(records) != 1 {
		f.t.Errorf("%d records in a single write", len(records))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	how := f.posted(records)
	for _, rec := range records[:how.stored] {
		f.store(rec)
	}
	if how.status == 200 {
		return
	}
	w.Header().Set("Retry-After", "0")
	w.WriteHeader(how.status)
	fmt.Fprintf(w, `{"code":"X","message":"no","details":{"records_written":"%d"}}`, how.stored)
}

func (f *fakeServer) store(r fakeRecord) {
	if _, err := time.Parse(time.RFC3339Nano, r.Timestamp); err != nil {
		f.t.Error(err)
	}
	f.exec(fmt.Sprintf("INSERT INTO %s VALUES (%s, %s, %d, %s, %s, %t)", r.Table,
		duck.Literal(r.ID), duck.Literal(r.Timestamp), r.Payload.Seq, duck.Literal(r.Payload.Name), r.Payload.Value, r.Payload.OK))
}
