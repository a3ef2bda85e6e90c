//go:build duckdb_arrow

package coordinator

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"skein/internal/duck"
	"skein/internal/fault"
	"skein/planner"
)

// engine lets the planner read SQL with DuckDB. What DuckDB answers depends on
// the question alone, so answers are remembered.
type engine struct {
	db   *duck.DB
	memo *memo
}

// SerializeSQL implements planner.Engine.
func (e engine) SerializeSQL(ctx context.Context, sql string) (string, error) {
	return e.value(ctx, "SELECT json_serialize_sql("+duck.Literal(sql)+")")
}

// DeserializeSQL implements planner.Engine.
func (e engine) DeserializeSQL(ctx context.Context, tree string) (string, error) {
	return e.value(ctx, "SELECT json_deserialize_sql("+duck.Literal(tree)+")")
}

// DeserializeAll implements planner.Binder.
func (e engine) DeserializeAll(ctx context.Context, trees []string) ([]string, error) {
	calls := make([]string, len(trees))
	for i, t := range trees {
		calls[i] = "json_deserialize_sql(" + duck.Literal(t) + ")"
	}
	return e.values(ctx, "SELECT "+strings.Join(calls, ", "))
}

func (e engine) value(ctx context.Context, sql string) (string, error) {
	row, err := e.values(ctx, sql)
	if err != nil {
		return "", err
	}
	return row[0], nil
}

// values is the first row of a query over nothing.
func (e engine) values(ctx context.Context, sql string) ([]string, error) {
	if strings.Contains(sql, "\x00") {
		return nil, fault.New(fault.InvalidArgument, "the statement contains a NUL character")
	}
	if known, ok := e.memo.Get(sql); ok {
		return known.([]string), nil
	}
	c, err := e.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	rows, err := c.Strings(ctx, sql)
	if err != nil {
		return nil, err
	}
	e.memo.Put(sql, rows[0])
	return rows[0], nil
}

// loadFunctions asks DuckDB how its functions behave. A name that has several
// forms gets the class that forbids most.
func loadFunctions(ctx context.Context, db *duck.DB) (planner.Functions, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	rows, err := c.Strings(ctx, "SELECT lower(function_name), function_type, coalesce(stability, ''), coalesce(macro_definition, '') FROM duckdb_functions() WHERE function_type IN ('scalar', 'aggregate', 'macro')")
	if err != nil {
		return nil, err
	}
	f, macros := planner.Functions{}, map[string]string{}
	for _, r := range rows {
		class := planner.Scalar
		switch {
		case r[1] == "aggregate":
			class = planner.Aggregate
		case r[1] == "macro":
			macros[r[0]] += " " + r[3]
			continue
		case r[2] != "CONSISTENT":
			class = planner.Unsteady
		}
		f[r[0]] = max(f[r[0]], class)
	}
	for name := range macros {
		f[name] = max(f[name], macroClass(name, macros, f, 0))
	}
	return f, nil
}

// called finds the functions that a macro's definition calls.
var called = regexp.MustCompile(`(\w+)"?\(`)

// macroDepthMax bounds macros that call macros.
const macroDepthMax = 5

// macroClass is Scalar for a macro that only calls functions that are.
func macroClass(name string, macros map[string]string, f planner.Functions, depth int) planner.Function {
	definition := strings.ToLower(macros[name])
	if depth > macroDepthMax || strings.Contains(definition, "select") || strings.Contains(definition, "current_") {
		return planner.Unsteady
	}
	for _, m := range called.FindAllStringSubmatch(definition, -1) {
		class, known := f[m[1]]
		if _, isMacro := macros[m[1]]; isMacro && m[1] != name {
			class, known = macroClass(m[1], macros, f, depth+1), true
		}
		if known && class != planner.Scalar {
			return planner.Unsteady
		}
	}
	return planner.Scalar
}

// statementError classes what the planner says of a statement, with the place
// in it.
func statementError(sql string, err error) error {
	var p *planner.Error
	if !errors.As(err, &p) {
		return err
	}
	code := map[planner.Reason]fault.Code{
		planner.Invalid: fault.InvalidArgument, planner.NoTable: fault.NotFound,
		planner.Forbidden: fault.InvalidArgument, planner.Unsupported: fault.Unimplemented,
	}[p.Reason]
	if p.Offset < 0 || p.Offset > len(sql) {
		return fault.Wrap(code, err)
	}
	line, column := place(sql, p.Offset)
	return fault.Newf(code, "%w (line %d, column %d)", err, line, column).
		With("line", strconv.Itoa(line)).With("column", strconv.Itoa(column))
}
