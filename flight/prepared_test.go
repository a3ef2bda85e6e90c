package flight_test

import (
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/flight"
	"skein/internal/fault"
)

// numbers is a batch of parameters.
func numbers(values ...int64) arrow.RecordBatch {
	schema := arrow.NewSchema([]arrow.Field{{Name: "1", Type: arrow.PrimitiveTypes.Int64}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	b.Field(0).(*array.Int64Builder).AppendValues(values, nil)
	return b.NewRecordBatch()
}

func (d *door) prepare(t *testing.T, sql string) *flightsql.PreparedStatement {
	t.Helper()
	p, err := d.client.Prepare(t.Context(), sql)
	if err != nil {
		t.Fatal(sql, err)
	}
	return p
}

func TestPreparedSchemas(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{})
	for sql, want := range map[string]struct {
		dataset int
		param   arrow.DataType
	}{
		"SELECT 1":                 {1, nil},
		"SHOW TABLES":              {1, nil},
		"SELECT ?":                 {1, arrow.PrimitiveTypes.Int64},
		"SELECT untyped ?":         {1, arrow.BinaryTypes.String},
		"SELECT at ?":              {1, &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "UTC"}},
		"CREATE TABLE t (x INT)":   {0, nil},
		"INSERT INTO t VALUES (?)": {0, arrow.PrimitiveTypes.Int64},
	} {
		p := d.prepare(t, sql)
		if n := p.DatasetSchema().NumFields(); n != want.dataset {
			t.Errorf("%s: dataset of %d columns", sql, n)
		}
		params := p.ParameterSchema().Fields()
		if want.param == nil && len(params) > 0 || want.param != nil && (len(params) != 1 || !arrow.TypeEqual(params[0].Type, want.param) || !params[0].Nullable) {
			t.Errorf("%s: parameters %v", sql, params)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestPreparedQuery(t *testing.T) {
	c := newCoord()
	d := open(t, c, nil, flight.Options{})
	p := d.prepare(t, "SELECT ?")
	defer p.Close(t.Context())
	for _, values := range [][]int64{{7}, {1, 2, 3}, {}} {
		if p.SetParameters(numbers(values...)); len(values) == 0 {
			none, err := array.NewRecordReader(numbers().Schema(), []arrow.RecordBatch{numbers()})
			if err != nil {
				t.Fatal(err)
			}
			p.SetRecordReader(none)
		}
		info, err := p.Execute(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if info.Schema != nil {
			t.Error("a schema is told that depends on the values")
		}
		r, err := d.client.DoGet(t.Context(), info.Endpoint[0].Ticket)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for r.Next() {
			got = append(got, r.RecordBatch().Column(0).(*array.Int64).Int64Values()...)
		}
		if r.Err() != nil || !slices.Equal(got, values) && len(values) > 0 || len(got) != len(values) {
			t.Errorf("got %v, want %v: %v", got, values, r.Err())
		}
		r.Release()
	}
	want := []string{"SELECT ? 1 [7]", "SELECT ? 1 [1]", "SELECT ? 1 [2]", "SELECT ? 1 [3]"}
	if !slices.Equal(c.executed, want) {
		t.Errorf("ran %q, want %q", c.executed, want)
	}
}

func TestPreparedWithoutParameters(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{})
	p := d.prepare(t, "SELECT many")
	defer p.Close(t.Context())
	info, err := p.Execute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	told, err := arrowflight.DeserializeSchema(info.Schema, memory.DefaultAllocator)
	if err != nil || !told.Equal(p.DatasetSchema()) {
		t.Error(told, err)
	}
	for range 2 { // a ticket can be fetched again
		if n, _, err := d.read(t.Context(), info); n != 100_000 || err != nil {
			t.Error(n, err)
		}
	}
}

func TestPreparedUpdate(t *testing.T) {
	c := newCoord()
	d := open(t, c, nil, flight.Options{})
	for _, step := range []struct {
		sql    string
		params []int64
		want   int64
	}{
		{"CREATE TABLE t (x INT)", nil, 0},
		{"INSERT INTO t VALUES (?)", []int64{5}, 2},
		{"INSERT INTO t VALUES (?)", []int64{1, 2, 3}, 6}, // in one go
		{"INSERT unknown (?)", []int64{1, 2}, -1},
	} {
		p := d.prepare(t, step.sql)
		if step.params != nil {
			p.SetParameters(numbers(step.params...))
		}
		if n, err := p.ExecuteUpdate(t.Context()); n != step.want || err != nil {
			t.Errorf("%s %v: %d %v", step.sql, step.params, n, err)
		}
		p.Close(t.Context())
	}
	if len(c.executed) != 4 {
		t.Errorf("ran %q", c.executed)
	}
	// sent as a query
	p := d.prepare(t, "CREATE TABLE t (x INT)")
	if info, err := p.Execute(t.Context()); err != nil || len(info.Endpoint) > 0 {
		t.Error(info, err)
	}
	if len(c.executed) != 5 {
		t.Errorf("ran %q", c.executed)
	}
}

func TestPreparedErrors(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{})
	ctx := t.Context()
	p := d.prepare(t, "SELECT ?")
	_, err := p.Execute(ctx)
	wantCode(t, err, fault.InvalidArgument, "1 parameters")
	two := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.Null}, {Name: "b", Type: arrow.Null}}, nil),
		[]arrow.Array{array.NewNull(1), array.NewNull(1)}, 1)
	p.SetParameters(two)
	_, err = p.Execute(ctx)
	wantCode(t, err, fault.InvalidArgument, "2 values")
	p.SetParameters(numbers(make([]int64, flight.ParamRowsMax+1)...))
	_, err = p.Execute(ctx)
	wantCode(t, err, fault.InvalidArgument, "too many values")
	_, err = p.ExecuteUpdate(ctx)
	wantCode(t, err, fault.InvalidArgument, "run it as a query")
	if err := p.Close(ctx); err != nil {
		t.Error(err)
	}

	insert := d.prepare(t, "INSERT INTO t VALUES (?)")
	_, err = insert.ExecuteUpdate(ctx)
	wantCode(t, err, fault.InvalidArgument, "1 parameters")

	closed := d.prepare(t, "SELECT 1")
	info, err := closed.Execute(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if _, _, err = d.read(ctx, info); err != nil { // other processes may read it still
		t.Error(err)
	}
	forged := flightsql.NewPreparedStatement(d.client, []byte("0123456789"))
	_, err = forged.Execute(ctx)
	wantCode(t, err, fault.NotFound, "prepare it again")
	_, err = forged.ExecuteUpdate(ctx)
	wantCode(t, err, fault.NotFound, "prepare it again")
}
