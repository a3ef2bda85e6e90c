package slt

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Engine is what runs the SQL.
type Engine interface {
	// Exec runs a statement that returns no rows, or whose rows are not of
	// interest.
	Exec(ctx context.Context, sql string) error
	// Query runs a SELECT. A cell is nil for NULL, a bool, a float64, or a
	// string.
	Query(ctx context.Context, sql string) ([][]any, error)
}

// Failure is a record that did not come out as written.
type Failure struct {
	File string
	Line int
	SQL  string
	Text string
}

func (f Failure) String() string { return fmt.Sprintf("%s:%d: %s\n%s", f.File, f.Line, f.Text, f.SQL) }

// Run runs a file's records in order and returns those that fail. The name is
// the engine's in skipif and onlyif. It stops when the context ends.
func Run(ctx context.Context, e Engine, name string, f File) []Failure {
	var failures []Failure
	labels := map[string]string{}
	for _, r := range f.Records {
		if ctx.Err() != nil {
			return append(failures, Failure{f.Name, r.Line, r.SQL, ctx.Err().Error()})
		}
		if !r.runsOn(name) {
			continue
		}
		if text := r.run(ctx, e, labels); text != "" {
			failures = append(failures, Failure{f.Name, r.Line, r.SQL, text})
		}
	}
	return failures
}

func (r Record) runsOn(name string) bool {
	return !slices.Contains(r.SkipIf, name) && !slices.ContainsFunc(r.OnlyIf, func(o string) bool { return o != name })
}

// run tells what is wrong; nothing if empty.
func (r Record) run(ctx context.Context, e Engine, labels map[string]string) string {
	if r.Kind != Query {
		err := e.Exec(ctx, r.SQL)
		switch {
		case r.Kind == StatementOK && err != nil:
			return "got error: " + err.Error()
		case r.Kind == StatementError && err == nil:
			return "got no error"
		case r.Kind == StatementError && !strings.Contains(err.Error(), r.Error):
			return fmt.Sprintf("got error: %v\nwant one with: %s", err, r.Error)
		}
		return ""
	}
	rows, err := e.Query(ctx, r.SQL)
	if err != nil {
		return "got error: " + err.Error()
	}
	if text := r.compare(rows); text != "" {
		return text
	}
	if r.Label == "" {
		return ""
	}
	got := strings.Join(r.lines(rows), "\n")
	if before, ok := labels[r.Label]; ok && before != got {
		return "another query of label " + r.Label + " had another answer"
	}
	labels[r.Label] = got
	return ""
}

// Rewrite runs a file's text and returns it with the values that the engine
// gave. In a loop, they are those of the first turn.
func Rewrite(ctx context.Context, e Engine, engine, name, text string) (string, error) {
	f, err := Parse(name, text)
	if err != nil {
		return "", err
	}
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	values := map[int][]string{} // by the line where they begin
	ends := map[int]int{}
	for _, r := range f.Records {
		if !r.runsOn(engine) {
			continue
		}
		if r.Kind != Query {
			if text := r.run(ctx, e, nil); text != "" {
				return "", fmt.Errorf("%s:%d: %s", name, r.Line, text)
			}
			continue
		}
		rows, err := e.Query(ctx, r.SQL)
		if err != nil {
			return "", fmt.Errorf("%s:%d: %w", name, r.Line, err)
		}
		if _, ok := values[r.wantFrom]; !ok {
			values[r.wantFrom], ends[r.wantFrom] = r.lines(rows), r.wantTo
		}
	}
	var out []string
	for i := 0; i < len(lines); {
		if v, ok := values[i]; ok {
			out = append(out, v...)
			if i == ends[i] && i < len(lines) {
				out = append(out, lines[i])
				i++
				continue
			}
			i = ends[i]
			continue
		}
		out = append(out, lines[i])
		i++
	}
	return strings.Join(out, "\n"), nil
}
