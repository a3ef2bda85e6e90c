package planner

import (
	"context"
	"errors"
	"strings"
)

// Strategy is how a plan runs.
type Strategy int

// The strategies.
const (
	Scan   Strategy = iota // every worker reads a share of the files; the streams are joined end to end
	Divide                 // stages: fragments whose rows later fragments read
	Gather                 // one worker runs the whole statement
)

// Plan is how a query is run: stages in order, of which each reads tables and
// the rows of stages before it. The last one's rows are the answer.
type Plan struct {
	Strategy Strategy
	Why      string // for Gather: what kept the query from being divided
	SQL      string // the statement, over views named as its tables
	Tables   []TableRead
	Stages   []*Stage
	Moment   bool // the statement tells of the time: the plan is good for one run
}

// TableRead tells how much of a table a plan reads.
type TableRead struct {
	Table      string
	Kept       []File
	FilesKnown int
}

// Fragment is one worker's share of a Split stage.
type Fragment struct {
	Worker string
	Files  []File // of the stage's split table
}

// Plan plans the query over the catalog's tables, all of which it must hold.
// params are SQL expressions for the query's parameters. A query is planned
// once: its tree is rewritten on the way.
func (q *Query) Plan(ctx context.Context, e Binder, c Catalog, params []string) (*Plan, error) {
	if params == nil && q.Params > 0 {
		return nil, refuse(Invalid, -1, "the statement has %d parameters; prepare it and bind values", q.Params)
	}
	if params == nil {
		params = []string{}
	}
	text, err := q.Bind(ctx, e, c, params)
	if err != nil {
		return nil, err
	}
	if len(c.Workers) == 0 {
		return nil, refuse(Unsupported, -1, "no worker is alive")
	}
	p, s := &Plan{SQL: text, Moment: q.fixed}, q.tidbTree(ctx, e)
	kept := q.prune(s, &c)
	for _, name := range q.Tables {
		p.Tables = append(p.Tables, TableRead{Table: name, Kept: kept[name], FilesKnown: len(c.Tables[name].Files) + len(c.Tables[name].Unflushed)})
	}
	if q.whyNotScan(s, c.Functions) == "" {
		p.scan(c.Workers)
		return p, nil
	}
	if p.Why = q.whyWhole(p, &c); p.Why == "" {
		err := p.divide(ctx, q, e, &c, kept)
		var unseen opaque
		var ordered inOrder
		if err == nil || !errors.As(err, &unseen) && !errors.As(err, &ordered) {
			return p, err
		}
		p.Why = err.Error()
	}
	p.gather(prefer(q.Tables, c.Workers))
	return p, nil
}

// Bind rewrites the query and returns the text that its fragments run. It is
// all of Plan that a statement needs that is only described: parameters stay as
// they are if params is nil.
func (q *Query) Bind(ctx context.Context, e Engine, c Catalog, params []string) (string, error) {
	for _, name := range q.Tables {
		if c.Tables[name] == nil {
			return "", refuse(NoTable, -1, "table %s does not exist", name)
		}
	}
	if params != nil {
		if err := q.bind(ctx, e, params); err != nil {
			return "", err
		}
	}
	r := resolver{catalog: &c}
	r.resolve(q.tree["node"], nil)
	if params != nil {
		var err error
		if q.fixed, err = q.fixClock(ctx, e, &c); err != nil {
			return "", err
		}
	}
	return q.textFor(ctx, e, q.fixed || len(params) > 0 || r.changed || q.qualified)
}

// whyWhole tells why one worker should run the whole statement.
func (q *Query) whyWhole(p *Plan, c *Catalog) string {
	var bytes int64
	for _, t := range p.Tables {
		for _, f := range t.Kept {
			bytes += f.Bytes
		}
	}
	switch {
	case len(q.Tables) == 0:
		return "no table"
	case showRef(q.tree) != nil:
		return "it is about a query, not its rows"
	case q.collates():
		return "a collation"
	case len(q.text) > dividedTextMax:
		return "a long statement"
	case q.limitsWithin():
		// DuckDB 1.5 may filter by a join what is below a LIMIT; in a stage of
		// its own the LIMIT comes first.
	case len(c.Workers) == 1:
		return "there is one worker"
	case bytes < c.DivideBytesMin:
		return "little to read"
	}
	return q.unsteady(c.Functions)
}

// dividedTextMax is how long a statement may be to be divided, which reads and
// writes it several times.
const dividedTextMax = 48 << 10

// collates tells whether values are compared by a collation, which rows lose
// when they are kept. In the last ORDER BY it is applied to them anew.
func (q *Query) collates() bool {
	found := false
	n := child(q.tree, "node")
	for key, v := range n {
		if key == "modifiers" {
			continue
		}
		walk(v, func(n node) bool {
			found = found || str(n, "class") == "COLLATE"
			return !found
		})
	}
	return found
}

// limitsWithin tells whether a query inside the statement has a LIMIT.
func (q *Query) limitsWithin() bool {
	limits := 0
	count := func(n node) bool {
		if strings.HasPrefix(kind(n), "LIMIT_") {
			limits++
		}
		return true
	}
	walk(q.tree["node"], count)
	all := limits
	for _, v := range list(child(q.tree, "node"), "modifiers") {
		count(v.(node))
	}
	return all > limits-all
}

// unsteady tells what in the statement would differ from worker to worker.
func (q *Query) unsteady(f Functions) string {
	why := ""
	walk(q.tree["node"], func(n node) bool {
		switch str(n, "class") {
		case "COLUMN_REF":
			if names := list(n, "column_names"); len(names) == 1 && isClock(names[0]) {
				why = "the time differs from worker to worker"
			}
		case "FUNCTION":
			name := fold(str(n, "function_name"))
			switch f[name] {
			case Unsteady:
				why = "function " + name + " differs from call to call"
			case Unknown:
				if !tableFunctions[name] {
					why = "function " + name + " is not known"
				}
			}
		}
		return why == ""
	})
	return why
}

// scan gives every worker its share of the only table's files.
func (p *Plan) scan(workers []string) {
	t := p.Tables[0]
	s := &Stage{Kind: Split, SQL: p.SQL, Follow: -1, Apart: true, Tables: []StageTable{{View: t.Table, Table: t.Table, Files: t.Kept, Split: true}}}
	s.share(workers)
	p.Stages = []*Stage{s}
}

// gather has one worker run the statement over all files.
func (p *Plan) gather(worker string) {
	p.Strategy = Gather
	s := &Stage{Kind: One, SQL: p.SQL, Follow: -1, Worker: worker}
	for _, t := range p.Tables {
		s.Tables = append(s.Tables, StageTable{View: t.Table, Table: t.Table, Files: t.Kept})
	}
	p.Stages = []*Stage{s}
}

// Gathered is the plan for one worker to run the whole statement instead.
func (p *Plan) Gathered(why string, workers []string) *Plan {
	g := &Plan{SQL: p.SQL, Tables: p.Tables, Why: why}
	names := make([]string, len(p.Tables))
	for i, t := range p.Tables {
		names[i] = t.Table
	}
	g.gather(prefer(names, workers))
	return g
}

// divide makes stages of the statement.
func (p *Plan) divide(ctx context.Context, q *Query, e Binder, c *Catalog, kept map[string][]File) error {
	views := make(map[string][]Column, len(q.Tables))
	for _, name := range q.Tables {
		views[name] = c.Tables[name].Columns
	}
	columns, err := e.Describe(ctx, p.SQL, views)
	if err != nil {
		return err
	}
	d := &divider{ctx: ctx, engine: e, catalog: c, kept: kept, views: views, refs: q.refs}
	for _, n := range q.ctes {
		n["schema_name"] = cteSchema
	}
	root, _ := clone(q.tree["node"]).(node)
	for _, n := range q.ctes {
		n["schema_name"] = ""
	}
	if p.Stages, err = d.divide(root, columns); err != nil {
		return err
	}
	p.Strategy = Divide
	for _, s := range p.Stages {
		switch s.Kind {
		case Split:
			s.share(c.Workers)
		case Ranged:
			for _, w := range c.Workers {
				s.Fragments = append(s.Fragments, Fragment{Worker: w})
			}
		case One:
			s.Worker = prefer(q.Tables, c.Workers)
		}
	}
	return d.write()
}

// Files is how many files the plan names, each as often as it does.
func (p *Plan) Files() int {
	n := 0
	for _, t := range p.Tables {
		n += len(t.Kept)
	}
	for _, s := range p.Stages {
		for _, f := range s.Fragments {
			n += len(f.Files)
		}
		for _, t := range s.Tables {
			for _, part := range t.Parts {
				n += len(part.Inside) + len(part.Edges)
			}
		}
	}
	return n
}

// share gives every worker its share of the split table's files. Without a
// file, one fragment over none gives the empty result.
func (s *Stage) share(workers []string) {
	var t StageTable
	for _, t = range s.Tables {
		if t.Split {
			break
		}
	}
	if len(t.Files) == 0 {
		s.Fragments = []Fragment{{Worker: prefer([]string{t.Table}, workers)}}
		return
	}
	parts := split(t.Files, workers)
	for _, w := range workers {
		if len(parts[w]) > 0 {
			s.Fragments = append(s.Fragments, Fragment{Worker: w, Files: parts[w]})
		}
	}
}
