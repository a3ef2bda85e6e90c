package flight_test

import (
	"testing"
	"time"

	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"

	"skein/flight"
	"skein/internal/fault"
)

func TestTransactions(t *testing.T) {
	c := newCoord()
	d := open(t, c, nil, flight.Options{})
	ctx := within(t)
	for _, end := range []func(*flightsql.Txn) error{
		func(x *flightsql.Txn) error { return x.Commit(ctx) },
		func(x *flightsql.Txn) error { return x.Rollback(ctx) },
	} {
		x, err := d.client.BeginTransaction(ctx)
		if err != nil {
			t.Fatal(err)
		}
		info, err := x.Execute(ctx, "SELECT 1")
		if err != nil {
			t.Fatal(err)
		}
		if n, _, err := d.read(ctx, info); n != 100 || err != nil {
			t.Error(n, err)
		}
		if p, err := x.Prepare(ctx, "SELECT 1"); err != nil {
			t.Error(err)
		} else if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
		_, err = x.Execute(ctx, "CREATE TABLE t (x INT)")
		wantCode(t, err, fault.Unimplemented, "only reads")
		_, err = x.ExecuteUpdate(ctx, "CREATE TABLE t (x INT)")
		wantCode(t, err, fault.Unimplemented, "only reads")
		_, err = x.Prepare(ctx, "INSERT INTO t VALUES (?)")
		wantCode(t, err, fault.Unimplemented, "only reads")
		_, err = d.ingest(ctx, &flightsql.ExecuteIngestOpts{Table: "t", TransactionId: x.ID(), TableDefinitionOptions: createOrAppend()}, numbers(1))
		wantCode(t, err, fault.Unimplemented, "only reads")
		_, err = x.BeginSavepoint(ctx, "s")
		wantCode(t, err, fault.Unimplemented, "savepoints")
		id := x.ID()
		if err := end(x); err != nil {
			t.Error(err)
		}
		_, err = d.ingest(ctx, &flightsql.ExecuteIngestOpts{Table: "t", TransactionId: id, TableDefinitionOptions: createOrAppend()}, numbers(1))
		wantCode(t, err, fault.NotFound, "transaction")
	}
	if len(c.executed) != 2 || len(c.ingests) != 0 {
		t.Errorf("ran %q and %v", c.executed, c.ingests)
	}
}

// A client that vanishes ends no transaction.
func TestTransactionsExpire(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{PreparedMax: 10, PreparedIdle: time.Hour})
	ctx := within(t)
	first, err := d.client.BeginTransaction(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var last *flightsql.Txn
	for range 10 {
		if last, err = d.client.BeginTransaction(ctx); err != nil {
			t.Fatal(err)
		}
	}
	_, err = first.Execute(ctx, "SELECT 1")
	wantCode(t, err, fault.NotFound, "transaction")
	if _, err := last.Execute(ctx, "SELECT 1"); err != nil {
		t.Error(err)
	}
	short := open(t, newCoord(), nil, flight.Options{PreparedIdle: time.Nanosecond})
	x, err := short.client.BeginTransaction(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = x.Execute(ctx, "SELECT 1")
	wantCode(t, err, fault.NotFound, "transaction")
}

func TestSavepointActions(t *testing.T) {
	d := open(t, newCoord(), nil, flight.Options{})
	for _, action := range []string{flightsql.BeginSavepointActionType, flightsql.EndSavepointActionType} {
		stream, err := d.raw.DoAction(within(t), &arrowflight.Action{Type: action})
		if err == nil {
			_, err = stream.Recv()
		}
		if code := fault.CodeOf(fault.From(err)); code != fault.InvalidArgument && code != fault.Unimplemented {
			t.Errorf("%s: %v", action, err)
		}
	}
}
