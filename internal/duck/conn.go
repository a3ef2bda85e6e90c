//go:build duckdb_arrow

package duck

import (
	"context"
	"slices"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	bind "github.com/duckdb/duckdb-go-bindings"

	"skein/internal/fault"
)

// Conn is one connection with its own temporary tables and views. It runs one
// statement at a time.
type Conn struct {
	conn     bind.Connection
	instance *instance
	release  func() // of its slot
	once     sync.Once
}

// Lost is closed when an internal error of DuckDB, of this connection or of
// another, has made its instance unusable, with all that it holds. Connections
// that are opened later belong to another instance.
func (c *Conn) Lost() <-chan struct{} { return c.instance.lost }

// Close drops the connection and its temporary objects. Streams and prepared
// statements of the connection must be closed before.
func (c *Conn) Close() {
	c.once.Do(func() {
		bind.Disconnect(&c.conn)
		c.instance.drop()
		c.release()
	})
}

// watch interrupts the connection when ctx ends. The caller calls the
// returned function when its call into DuckDB is over; no interrupt comes
// after that.
func (c *Conn) watch(ctx context.Context) (done func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		bind.Interrupt(c.conn)
		close(fired)
	})
	return func() {
		if !stop() {
			<-fired
		}
	}
}

// Exec runs one statement and returns how many rows it changed.
func (c *Conn) Exec(ctx context.Context, sql string) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	defer c.watch(ctx)()
	rows, err := c.exec(ctx, sql)
	for try := 0; try < causeTries && lostCause(ctx, err); try++ {
		rows, err = c.exec(ctx, sql) // a statement that failed changed nothing
	}
	return rows, err
}

// execOnce is Exec for a statement whose input is gone after the first try.
func (c *Conn) execOnce(ctx context.Context, sql string) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	defer c.watch(ctx)()
	return c.exec(ctx, sql)
}

func (c *Conn) exec(ctx context.Context, sql string) (int64, error) {
	var stmt bind.PreparedStatement
	defer bind.DestroyPrepare(&stmt)
	if bind.Prepare(c.conn, sql, &stmt) != bind.StateSuccess {
		return 0, c.errorOf(ctx, bind.PrepareError(stmt))
	}
	var pending bind.PendingResult
	defer bind.DestroyPending(&pending)
	if bind.PendingPrepared(stmt, &pending) != bind.StateSuccess {
		return 0, c.errorOf(ctx, bind.PendingError(pending))
	}
	await(pending)
	var res bind.Result
	defer bind.DestroyResult(&res)
	if bind.ExecutePending(pending, &res) != bind.StateSuccess {
		return 0, c.errorOf(ctx, bind.ResultError(&res))
	}
	return int64(bind.RowsChanged(&res)), nil
}

// Prepared is a statement that was parsed and bound, but not run.
type Prepared struct {
	c      *Conn
	stmt   bind.PreparedStatement
	opts   bind.ArrowOptions
	schema *arrow.Schema
	params *arrow.Schema
	once   sync.Once
}

// Prepare binds one statement. The caller closes it.
func (c *Conn) Prepare(ctx context.Context, sql string) (*Prepared, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	defer c.watch(ctx)()
	p := &Prepared{c: c}
	if bind.Prepare(c.conn, sql, &p.stmt) != bind.StateSuccess {
		msg := bind.PrepareError(p.stmt)
		bind.DestroyPrepare(&p.stmt)
		return nil, c.errorOf(ctx, msg)
	}
	bind.ConnectionGetArrowOptions(c.conn, &p.opts)
	if err := p.describe(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Prepared) describe() (err error) {
	names := make([]string, bind.PreparedStatementColumnCount(p.stmt))
	types := make([]bind.LogicalType, len(names))
	for i := range names {
		names[i] = bind.PreparedStatementColumnName(p.stmt, bind.IdxT(i))
		types[i] = bind.PreparedStatementColumnLogicalType(p.stmt, bind.IdxT(i))
	}
	if i := slices.IndexFunc(types, isTimeTZ); i >= 0 {
		destroy(types)
		return fault.Newf(fault.Unimplemented, "column %s: Arrow has no TIME WITH TIME ZONE, its offset would be lost; cast it to VARCHAR", names[i])
	}
	if !slices.ContainsFunc(types, isInvalid) {
		// A type that parameters leave open may also be inside another.
		if p.schema, err = arrowSchema(p.opts, types, names); err != nil && bind.NParams(p.stmt) == 0 {
			return err
		}
	}
	names = make([]string, bind.NParams(p.stmt))
	types = make([]bind.LogicalType, len(names))
	for i := range names {
		names[i] = bind.ParameterName(p.stmt, bind.IdxT(i+1))
		types[i] = paramType(p.stmt, bind.IdxT(i+1))
	}
	p.params, err = arrowSchema(p.opts, types, names)
	return err
}

// paramType is the parameter's type; VARCHAR where DuckDB leaves it open.
func paramType(stmt bind.PreparedStatement, i bind.IdxT) bind.LogicalType {
	t := bind.ParamLogicalType(stmt, i)
	switch bind.GetTypeId(t) {
	case bind.TypeInvalid, bind.TypeAny, bind.TypeSQLNull:
		bind.DestroyLogicalType(&t)
		return bind.CreateLogicalType(bind.TypeVarchar)
	}
	return t
}

func destroy(types []bind.LogicalType) {
	for i := range types {
		bind.DestroyLogicalType(&types[i])
	}
}

func isTimeTZ(t bind.LogicalType) bool { return bind.GetTypeId(t) == bind.TypeTimeTZ }

// isInvalid tells a type that DuckDB knows only once parameters have values.
func isInvalid(t bind.LogicalType) bool { return bind.GetTypeId(t) == bind.TypeInvalid }

// arrowSchema destroys the types that it is given.
func arrowSchema(opts bind.ArrowOptions, types []bind.LogicalType, names []string) (*arrow.Schema, error) {
	defer destroy(types)
	if len(types) == 0 {
		return arrow.NewSchema(nil, nil), nil
	}
	schema, ed := bind.NewArrowSchema(opts, types, names)
	defer bind.DestroyErrorData(&ed)
	if bind.ErrorDataHasError(ed) {
		return nil, fault.New(fault.Unimplemented, "result type without an Arrow form: "+bind.ErrorDataMessage(ed))
	}
	return schema, nil
}

// Schema is the result's; its field names are DuckDB's column names. It is nil
// where it depends on the values of parameters.
func (p *Prepared) Schema() *arrow.Schema {
	if p.schema == nil {
		return nil
	}
	return decodedSchema(p.schema)
}

// Params has one field for each parameter, in order.
func (p *Prepared) Params() *arrow.Schema { return p.params }

// ReturnsRows tells a query from a statement that only changes something.
func (p *Prepared) ReturnsRows() bool {
	switch bind.PreparedStatementType(p.stmt) {
	case bind.StatementTypeSelect, bind.StatementTypeExplain, bind.StatementTypeRelation:
		return true
	}
	return false
}

// Close frees the statement. A stream of it must be closed before.
func (p *Prepared) Close() {
	p.once.Do(func() {
		bind.DestroyPrepare(&p.stmt)
		bind.DestroyArrowOptions(&p.opts)
	})
}

// errorOf classes DuckDB's message; an interruption is told as the context's
// own error.
func (c *Conn) errorOf(ctx context.Context, msg string) error {
	cause := context.Cause(ctx) // before classify, which ends what holds the instance
	err := c.classify(msg)
	if cause != nil {
		return cause
	}
	return err
}

// classify also notes that the instance is lost.
func (c *Conn) classify(msg string) error {
	if invalidates(msg) && !c.instance.answers() {
		c.instance.lose()
	}
	return classify(msg)
}
