//go:build duckdb_arrow

package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/internal/batch"
	"skein/internal/fault"
	"skein/planner"
)

// explainSchema is a line of the plan in each row; the whole plan in one row
// as JSON.
var explainSchema = arrow.NewSchema([]arrow.Field{{Name: "plan", Type: arrow.BinaryTypes.String, Nullable: true}}, nil)

// explanation is what an EXPLAIN asks for:
//
//	EXPLAIN [ANALYZE] query
//	EXPLAIN ([ANALYZE,] [FORMAT text | json]) query
type explanation struct {
	analyze, json bool
	query         string // keeps its place, so that errors point into the whole text
}

func parseExplain(sql string) (x explanation, err error) {
	p := &ddlParser{tokens: tokenize(sql)}
	p.words("EXPLAIN")
	x.analyze = p.words("ANALYZE")
	if p.sign("(") {
		for done := false; !done; done = p.sign(")") {
			switch {
			case p.words("ANALYZE"):
				x.analyze = true
			case p.words("FORMAT", "JSON"):
				x.json = true
			case p.words("FORMAT", "TEXT"):
			case p.sign(","):
			default:
				if t, ok := p.peek(); ok && t.text == "(" || strings.EqualFold(t.text, "SELECT") {
					return parseParenthesised(sql, x)
				}
				return x, p.unexpected("ANALYZE or FORMAT json")
			}
		}
	}
	next, ok := p.peek()
	if !ok {
		return x, p.unexpected("a query")
	}
	x.query = blank(sql, next.from)
	return x, nil
}

// parseParenthesised reads EXPLAIN [ANALYZE] (SELECT …).
func parseParenthesised(sql string, x explanation) (explanation, error) {
	x.query = blank(sql, strings.IndexByte(sql, '('))
	return x, nil
}

// blank is sql with white space before a place.
func blank(sql string, before int) string {
	text := []byte(sql)
	for i := range before {
		if text[i] != '\n' {
			text[i] = ' '
		}
	}
	return string(text)
}

// explain plans the statement behind EXPLAIN and shows the plan; ANALYZE also
// runs it.
func (c *Coordinator) explain(ctx context.Context, sql string) (batch.Reader, error) {
	x, err := parseExplain(sql)
	if err != nil {
		return nil, err
	}
	q, err := c.parse(ctx, x.query)
	if err != nil {
		return nil, err
	}
	if q.Kind != planner.Select {
		return nil, fault.Newf(fault.InvalidArgument, "%s cannot be explained; SELECT can", q.Keyword)
	}
	began := time.Now()
	plan, views, err := c.plan(ctx, q, nil)
	if err != nil {
		return nil, statementError(x.query, err)
	}
	if plan.Strategy != planner.Divide { // what would not run is not explained; to divide, it was bound
		if _, err := c.Prepare(ctx, x.query); err != nil {
			return nil, err
		}
	}
	shown := plan.Explain()
	if x.analyze {
		shown.Planned = time.Since(began)
		if err := c.analyze(ctx, plan, views, shown); err != nil {
			return nil, bindError(x.query, plan.SQL, err)
		}
		shown.Elapsed = time.Since(began)
	}
	if !x.json {
		return textRows(explainSchema, strings.Split(strings.TrimSpace(shown.String()), "\n")), nil
	}
	text, err := json.MarshalIndent(shown, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return textRows(explainSchema, []string{string(text)}), nil
}

// analyze runs a plan to its end and notes what each fragment did.
func (c *Coordinator) analyze(ctx context.Context, plan *planner.Plan, views map[string]*tableView, x *planner.Explained) error {
	r, e, err := c.run(ctx, plan, views)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		b, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		x.Rows += b.NumRows()
	}
	x.Analyzed = true
	for i, s := range e.stages {
		x.Stages[i].Retries, x.Stages[i].Fragments = s.retries, nil
		for _, f := range s.fragments {
			x.Stages[i].Fragments = append(x.Stages[i].Fragments, f.explain())
		}
	}
	return nil
}

func (f *fragment) explain() planner.ExplainedFragment {
	x := planner.ExplainFragment(f.worker, f.files)
	x.Attempts = f.attempts
	if k := f.kept; k != nil {
		x.Worker, x.Rows, x.BytesKept, x.BytesFetched = f.keeper, k.Rows, k.Bytes, k.FetchedBytes
		x.Elapsed = time.Duration(k.ElapsedUs) * time.Microsecond
	}
	if m := f.streamed; m != nil {
		x.Rows, x.Elapsed = m.rows, m.ended.Sub(m.began)
	}
	return x
}

// measured counts what a fragment of the last stage streams.
type measured struct {
	batch.Reader
	began, ended time.Time
	rows         int64
	describe     func(error) error
}

// Next implements batch.Reader.
func (m *measured) Next(ctx context.Context) (arrow.RecordBatch, error) {
	b, err := m.Reader.Next(ctx)
	switch {
	case err == nil:
		m.rows += b.NumRows()
	case !errors.Is(err, io.EOF):
		err = m.describe(err)
	}
	m.ended = time.Now()
	return b, err
}
