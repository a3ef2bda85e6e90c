package flight_test

import (
	"errors"
	"testing"

	"github.com/apache/arrow-adbc/go/adbc"
	driver "github.com/apache/arrow-adbc/go/adbc/driver/flightsql"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/flight"
)

// connect opens an ADBC connection with a user and a password.
func connect(t *testing.T, d *door) adbc.Connection {
	t.Helper()
	db, err := driver.NewDriver(memory.DefaultAllocator).NewDatabase(map[string]string{
		adbc.OptionKeyURI: "grpc://" + d.address, adbc.OptionKeyUsername: "ann", adbc.OptionKeyPassword: "secret",
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := db.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return c
}

func statement(t *testing.T, c adbc.Connection) adbc.Statement {
	t.Helper()
	s, err := c.NewStatement()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func total(t *testing.T, r array.RecordReader, err error) (rows, sum int64) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	for r.Next() {
		rows += r.RecordBatch().NumRows()
		for _, v := range r.RecordBatch().Column(0).(*array.Int64).Int64Values() {
			sum += v
		}
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	return rows, sum
}

func TestADBCQuery(t *testing.T) {
	c := newCoord()
	cn := connect(t, open(t, c, nil, flight.Options{}))
	s := statement(t, cn)
	if err := s.SetSqlQuery("SELECT many"); err != nil {
		t.Fatal(err)
	}
	r, _, err := s.ExecuteQuery(t.Context())
	if rows, sum := total(t, r, err); rows != 100_000 || sum != 100_000*99_999/2 {
		t.Error(rows, sum)
	}
	if err := s.SetSqlQuery("SELECT ?"); err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	params, err := s.GetParameterSchema()
	if err != nil || params.NumFields() != 1 {
		t.Error(params, err)
	}
	if err := s.Bind(t.Context(), numbers(10, 20, 30)); err != nil {
		t.Fatal(err)
	}
	r, _, err = s.ExecuteQuery(t.Context())
	if rows, sum := total(t, r, err); rows != 3 || sum != 60 {
		t.Error(rows, sum)
	}
}

func TestADBCUpdateAndErrors(t *testing.T) {
	c := newCoord()
	cn := connect(t, open(t, c, nil, flight.Options{}))
	s := statement(t, cn)
	if err := s.SetSqlQuery("CREATE TABLE t (x INT)"); err != nil {
		t.Fatal(err)
	}
	r, _, err := s.ExecuteQuery(t.Context())
	if err != nil || r.Schema().NumFields() != 0 || r.Next() {
		t.Error(r, err)
	}
	r.Release()
	if n, err := s.ExecuteUpdate(t.Context()); n != 0 || err != nil {
		t.Error(n, err)
	}
	if len(c.executed) != 2 {
		t.Errorf("ran %q", c.executed)
	}
	for sql, want := range map[string]adbc.Status{"SELEC": adbc.StatusInvalidArgument, "DROP TABLE missing": adbc.StatusNotFound} {
		if err := s.SetSqlQuery(sql); err != nil {
			t.Fatal(err)
		}
		_, err := s.ExecuteUpdate(t.Context())
		var e adbc.Error
		if !errors.As(err, &e) || e.Code != want {
			t.Errorf("%s: %v, want %s", sql, err, want)
		}
	}
	options, ok := cn.(adbc.PostInitOptions)
	if !ok {
		t.Fatal("no options")
	}
	var e adbc.Error
	if err := options.SetOption(adbc.OptionKeyAutoCommit, adbc.OptionValueDisabled); !errors.As(err, &e) || e.Code != adbc.StatusNotImplemented {
		t.Errorf("autocommit off: %v", err)
	}
	if err := options.SetOption(adbc.OptionKeyCurrentCatalog, "skein"); err != nil {
		t.Error(err)
	}
	if err := options.SetOption(adbc.OptionKeyCurrentCatalog, "other"); err == nil {
		t.Error("another catalog is taken")
	}
}

func TestADBCIngest(t *testing.T) {
	c := newCoord()
	cn := connect(t, open(t, c, nil, flight.Options{}))
	s := statement(t, cn)
	if err := errors.Join(s.SetOption(adbc.OptionKeyIngestTargetTable, "t"), s.SetOption(adbc.OptionKeyIngestMode, adbc.OptionValueIngestModeCreateAppend)); err != nil {
		t.Fatal(err)
	}
	// 8 MB in one message: gRPC's own limit is 4 MiB
	if err := s.Bind(t.Context(), numbers(make([]int64, 1_000_000)...)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.ExecuteUpdate(t.Context()); n != 1_000_000 || err != nil || c.ingested != n {
		t.Error(n, err)
	}
}

func TestADBCMetadata(t *testing.T) {
	c := withTables(newCoord())
	cn := connect(t, open(t, c, nil, flight.Options{}))
	ctx := t.Context()
	table := "users"
	r, err := cn.GetObjects(ctx, adbc.ObjectDepthAll, nil, nil, &table, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if !r.Next() || r.RecordBatch().NumRows() != 1 || r.RecordBatch().Column(0).(*array.String).Value(0) != "skein" {
		t.Error("objects:", r.RecordBatch(), r.Err())
	}
	schema, err := cn.GetTableSchema(ctx, nil, nil, "users")
	if err != nil || schema.NumFields() != 4 || !arrow.TypeEqual(schema.Field(2).Type, &arrow.Decimal128Type{Precision: 12, Scale: 2}) {
		t.Error(schema, err)
	}
	if _, err := cn.GetTableSchema(ctx, nil, nil, "nowhere"); err == nil {
		t.Error("a schema of no table")
	}
	info, err := cn.GetInfo(ctx, []adbc.InfoCode{adbc.InfoVendorName})
	if err != nil {
		t.Fatal(err)
	}
	defer info.Release()
	types, err := cn.GetTableTypes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer types.Release()
	if !types.Next() || types.RecordBatch().Column(0).(*array.String).Value(0) != "TABLE" {
		t.Error("table types:", types.Err())
	}
}
