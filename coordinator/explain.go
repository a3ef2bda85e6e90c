//go:build duckdb_arrow

package coordinator

import (
	"context"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"skein/internal/batch"
	"skein/internal/fault"
	"skein/planner"
)

// explainSchema is a line of the plan in each row.
var explainSchema = arrow.NewSchema([]arrow.Field{{Name: "plan", Type: arrow.BinaryTypes.String, Nullable: true}}, nil)

// explain plans the statement behind EXPLAIN and shows the plan.
func (c *Coordinator) explain(ctx context.Context, sql string) (batch.Reader, error) {
	p := &ddlParser{tokens: tokenize(sql)}
	p.words("EXPLAIN")
	if p.words("ANALYZE") {
		return nil, fault.New(fault.Unimplemented, "EXPLAIN ANALYZE is not supported yet; EXPLAIN is")
	}
	next, ok := p.peek()
	if !ok {
		return nil, p.unexpected("a query")
	}
	// The statement keeps its place, so that errors point into the whole text.
	text := []byte(sql)
	for i := range next.from {
		if text[i] != '\n' {
			text[i] = ' '
		}
	}
	inner := string(text)
	q, err := c.parse(ctx, inner)
	if err != nil {
		return nil, err
	}
	if q.Kind != planner.Select {
		return nil, fault.Newf(fault.InvalidArgument, "%s cannot be explained; SELECT can", q.Keyword)
	}
	plan, _, err := c.plan(ctx, q, nil)
	if err != nil {
		return nil, statementError(inner, err)
	}
	return textRows(explainSchema, strings.Split(strings.TrimSpace(plan.String()), "\n")), nil
}
