package planner

import "context"

// Strategy is how a plan runs.
type Strategy int

// The strategies.
const (
	Scan   Strategy = iota // every worker reads a share of the files; the streams are joined end to end
	Gather                 // one worker runs the whole statement
)

// Plan is how a query is run.
type Plan struct {
	Strategy  Strategy
	Why       string // for Gather: what kept the query from being divided
	SQL       string // of every fragment, over views named as the tables
	Tables    []TableRead
	Fragments []Fragment
}

// TableRead tells how much of a table a plan reads.
type TableRead struct {
	Table      string
	Kept       []File
	FilesKnown int
}

// Fragment is one worker's share.
type Fragment struct {
	Worker string
	Files  map[string][]File // by table
}

// Plan plans the query over the catalog's tables, all of which it must hold.
// params are SQL expressions for the query's parameters. A query is planned
// once: its tree is rewritten on the way.
func (q *Query) Plan(ctx context.Context, e Engine, c Catalog, params []string) (*Plan, error) {
	if params == nil && q.Params > 0 {
		return nil, refuse(Invalid, -1, "the statement has %d parameters; prepare it and bind values", q.Params)
	}
	text, err := q.Bind(ctx, e, c, params)
	if err != nil {
		return nil, err
	}
	if len(c.Workers) == 0 {
		return nil, refuse(Unsupported, -1, "no worker is alive")
	}
	p, s := &Plan{SQL: text}, q.tidbTree(ctx, e)
	kept := q.prune(s, &c)
	for _, name := range q.Tables {
		p.Tables = append(p.Tables, TableRead{Table: name, Kept: kept[name], FilesKnown: len(c.Tables[name].Files)})
	}
	if p.Why = q.whyNotScan(s, c.Functions); p.Why == "" {
		p.scan(q.Tables[0], kept[q.Tables[0]], c.Workers)
		return p, nil
	}
	p.Strategy = Gather
	p.Fragments = []Fragment{{Worker: prefer(q.Tables, c.Workers), Files: kept}}
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
	return q.textFor(ctx, e, len(params) > 0 || r.changed || q.qualified)
}

// scan gives every worker its share of the driving table's files. Without a
// file, one fragment over none gives the empty result.
func (p *Plan) scan(table string, files []File, workers []string) {
	if len(files) == 0 {
		p.Fragments = []Fragment{{Worker: prefer([]string{table}, workers), Files: map[string][]File{table: nil}}}
		return
	}
	parts := split(files, workers)
	for _, w := range workers {
		if len(parts[w]) > 0 {
			p.Fragments = append(p.Fragments, Fragment{Worker: w, Files: map[string][]File{table: parts[w]}})
		}
	}
}
