//go:build duckdb_arrow

package coordinator

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/internal/batch"
	"skein/internal/duck"
	"skein/internal/fault"
	"skein/planner"
	"skein/worker"
)

// Prepare binds a statement without running it.
func (c *Coordinator) Prepare(ctx context.Context, sql string) (*Statement, error) {
	q, err := c.parse(ctx, sql)
	if err != nil {
		return nil, err
	}
	switch {
	case q.Kind == planner.Select:
		return c.describe(ctx, q)
	case q.Kind == planner.ShowTables:
		return &Statement{Schema: showTablesSchema, Params: noParams}, nil
	case q.Keyword == "EXPLAIN":
		return &Statement{Schema: explainSchema, Params: noParams}, nil
	}
	cmd, err := c.command(ctx, q)
	if err != nil {
		return nil, err
	}
	return &Statement{Params: cmd.params}, nil
}

var noParams = arrow.NewSchema(nil, nil)

// parsed is a statement that was read.
type parsed struct {
	*planner.Query
	sql  string // as the client wrote it
	text string // that was read: sql, where it names no system relation
}

// place tells an error with its place in the client's statement, where that is
// the text that was read.
func (q *parsed) place(err error) error {
	var p *planner.Error
	if fault.Details(err)["line"] != "" {
		return err // has it
	}
	if q.text != q.sql && errors.As(err, &p) {
		return statementError(q.sql, &planner.Error{Reason: p.Reason, Message: p.Message, Offset: -1})
	}
	return statementError(q.sql, err)
}

func (c *Coordinator) parse(ctx context.Context, sql string) (*parsed, error) {
	if err := c.may(ctx, ToRead); err != nil {
		return nil, err
	}
	if len(sql) > c.opts.SQLBytesMax {
		return nil, fault.Newf(fault.TooLarge, "the statement has %d bytes; the most is %d", len(sql), c.opts.SQLBytesMax)
	}
	return c.parseText(ctx, sql)
}

// parseText reads a statement of any length.
func (c *Coordinator) parseText(ctx context.Context, sql string) (*parsed, error) {
	text, err := c.asQuery(ctx, sql)
	if err != nil {
		return nil, err
	}
	if text, err = c.expandSystem(ctx, text); err != nil {
		return nil, err
	}
	q := &parsed{sql: sql, text: text}
	if q.Query, err = planner.Parse(ctx, c.engine, text); err != nil {
		return nil, q.place(err)
	}
	return q, nil
}

// describe learns the schemas of a query by binding it over empty tables.
func (c *Coordinator) describe(ctx context.Context, q *parsed) (*Statement, error) {
	s, err := c.bindQuery(ctx, q)
	return s, q.place(err)
}

func (c *Coordinator) bindQuery(ctx context.Context, q *parsed) (*Statement, error) {
	views := map[string]*tableView{}
	catalog := planner.Catalog{Tables: map[string]*planner.Table{}, Functions: c.functions}
	for _, name := range q.Tables {
		t, err := c.Meta.Table(ctx, name)
		if err != nil {
			return nil, unknownTable(name, err)
		}
		views[name] = &tableView{Table: t}
		catalog.Tables[name] = views[name].planned()
	}
	text, err := q.Bind(ctx, c.engine, catalog, nil)
	if err != nil {
		return nil, err
	}
	s, err := c.bindEmpty(ctx, text, views)
	if err != nil {
		return nil, bindError(q.sql, text, err)
	}
	if s.Schema != nil {
		return s, nil
	}
	// The result's type depends on the parameters': take NULLs for them.
	again, err := planner.Parse(ctx, c.engine, q.text)
	if err != nil {
		return nil, err
	}
	nulls := make([]string, q.Params)
	for i := range nulls {
		nulls[i] = "NULL"
	}
	if text, err = again.Bind(ctx, c.engine, catalog, nulls); err != nil {
		return nil, err
	}
	typed, err := c.bindEmpty(ctx, text, views)
	if err != nil {
		return nil, err
	}
	s.Schema = typed.Schema
	return s, nil
}

func (c *Coordinator) bindEmpty(ctx context.Context, text string, views map[string]*tableView) (*Statement, error) {
	columns := make(map[string][]planner.Column, len(views))
	for name, v := range views {
		columns[name] = v.planned().Columns
	}
	key := signature("PREPARE "+text, columns)
	if known, ok := c.engine.memo.Get(key); ok {
		s := known.(Statement)
		return &s, nil
	}
	conn, err := c.DB.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	for _, v := range views {
		if _, err := conn.Exec(ctx, worker.EmptyView(v.scan(nil))); err != nil {
			return nil, err
		}
	}
	p, err := conn.Prepare(ctx, text)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	s := Statement{Schema: p.Schema(), Params: p.Params()}
	c.engine.memo.Put(key, s)
	return &s, nil
}

// bindError tells a mistake that DuckDB found with its place in the user's
// statement, where that is the text that was bound.
func bindError(sql, bound string, err error) error {
	details := fault.Details(err)
	offset, convErr := strconv.Atoi(details[duck.OffsetDetail])
	if fault.CodeOf(err) != fault.InvalidArgument || convErr != nil {
		return err
	}
	if sql != bound || offset > len(sql) {
		return fault.New(fault.InvalidArgument, err.Error())
	}
	return statementError(sql, &planner.Error{Reason: planner.Invalid, Message: err.Error(), Offset: offset})
}

// Query runs a statement that returns rows. ctx must live until the reader is
// closed; closing it stops the work.
func (c *Coordinator) Query(ctx context.Context, sql string, params arrow.RecordBatch) (batch.Reader, error) {
	end := c.counters.query()
	r, err := c.query(ctx, sql, params)
	if err != nil {
		end()
		return nil, err
	}
	return &counted{Reader: r, end: end}, nil
}

// counted is a reader whose query is over when it is closed.
type counted struct {
	batch.Reader
	end func()
}

// Close implements batch.Reader.
func (c *counted) Close() error {
	defer c.end()
	return c.Reader.Close()
}

func (c *Coordinator) query(ctx context.Context, sql string, params arrow.RecordBatch) (batch.Reader, error) {
	q, err := c.parse(ctx, sql)
	if err != nil {
		return nil, err
	}
	switch {
	case q.Kind == planner.ShowTables:
		return c.showTables(ctx)
	case q.Keyword == "EXPLAIN" && q.Kind == planner.Other:
		return c.explain(ctx, sql)
	case q.Kind == planner.Other:
		return c.runCommand(ctx, q, params)
	}
	return c.selected(ctx, q, params)
}

// selected runs a query.
func (c *Coordinator) selected(ctx context.Context, q *parsed, params arrow.RecordBatch) (batch.Reader, error) {
	plan, views, err := c.plan(ctx, q, params)
	if err != nil {
		return nil, q.place(err)
	}
	r, _, err := c.run(ctx, plan, views)
	if plan.Strategy == planner.Divide && mayBeOurs(err) {
		nodes, nodesErr := c.workers(ctx)
		if nodesErr != nil {
			return nil, nodesErr
		}
		c.Log.Info("a divided statement failed and is run whole", "sql", q.sql, "error", err)
		plan = plan.Gathered("its stages failed", sortedKeys(nodes))
		r, _, err = c.run(ctx, plan, views)
	}
	if err != nil {
		return nil, bindError(q.sql, plan.SQL, err)
	}
	return r, nil
}

// mayBeOurs tells an error that the statement itself may not have: a stage that
// does not bind though the statement does, or that DuckDB stumbles over, or a
// value that fails in a stage and that DuckDB would not have looked at. Run
// whole, the statement tells.
func mayBeOurs(err error) bool {
	code := fault.CodeOf(err)
	return err != nil && (code == fault.InvalidArgument || code == fault.Unimplemented || code == fault.Internal)
}

func (c *Coordinator) plan(ctx context.Context, q *parsed, params arrow.RecordBatch) (*planner.Plan, map[string]*tableView, error) {
	exprs, err := paramExprs(params, q.Params)
	if err != nil {
		return nil, nil, err
	}
	views, err := c.snapshots(ctx, q.Tables)
	if err != nil {
		return nil, nil, err
	}
	catalog := planner.Catalog{Tables: map[string]*planner.Table{}, Functions: c.functions, Splits: c.splits, Now: time.Now(), Written: c.engine.memo, DivideBytesMin: c.opts.DivideBytesMin}
	nodes, err := c.workers(ctx)
	if err != nil {
		return nil, nil, err
	}
	catalog.Workers = sortedKeys(nodes)
	key := planKey(q.text, exprs, catalog.Workers)
	if known, ok := c.plans.get(key, views); ok {
		return known, views, nil
	}
	for name, v := range views {
		catalog.Tables[name] = v.planned()
	}
	b := &binder{engine: c.engine}
	defer b.close()
	plan, err := q.Plan(ctx, b, catalog, exprs)
	if err == nil && q.text == q.sql { // else the text holds rows of the catalog
		c.plans.put(key, plan, views)
	}
	return plan, views, err
}

// Execute runs a statement that only changes something, and returns how many
// rows it changed; -1 where that has no meaning. It runs once for each row of
// params, and all of them or none take effect.
func (c *Coordinator) Execute(ctx context.Context, sql string, params arrow.RecordBatch) (int64, error) {
	q, err := c.parse(ctx, sql)
	if err != nil {
		return 0, err
	}
	if q.Kind != planner.Other || q.Keyword == "EXPLAIN" {
		return 0, fault.New(fault.InvalidArgument, "the statement returns rows; run it as a query")
	}
	cmd, err := c.command(ctx, q)
	if err != nil {
		return 0, err
	}
	return cmd.execute(ctx, params)
}

// runCommand runs a statement without rows as if it had none.
func (c *Coordinator) runCommand(ctx context.Context, q *parsed, params arrow.RecordBatch) (batch.Reader, error) {
	cmd, err := c.command(ctx, q)
	if err != nil {
		return nil, err
	}
	_, err = cmd.execute(ctx, params)
	return batch.NewSlice(noParams), err
}
