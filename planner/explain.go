package planner

import (
	"fmt"
	"strings"
	"time"
)

// Explained is a plan, and what came of it, for people and programs to read.
// What is not known before a query is run is zero.
type Explained struct {
	Strategy string           `json:"strategy"` // scan, divide or gather
	Why      string           `json:"why,omitempty"`
	Tables   []ExplainedTable `json:"tables"`
	Stages   []ExplainedStage `json:"stages"` // the last one gives the answer
	Rows     int64            `json:"rows,omitempty"`
	Planned  time.Duration    `json:"planned_ns,omitempty"`
	Elapsed  time.Duration    `json:"elapsed_ns,omitempty"`
	Analyzed bool             `json:"analyzed"`
}

// ExplainedTable tells how much of a table is read.
type ExplainedTable struct {
	Table      string `json:"table"`
	FilesKept  int    `json:"files_kept"`
	FilesKnown int    `json:"files_known"`
	BytesKept  int64  `json:"bytes_kept"`
}

// ExplainedStage is one stage.
type ExplainedStage struct {
	ID        int                 `json:"id"`
	Runs      string              `json:"runs"` // on which workers
	SQL       string              `json:"sql"`
	Reads     []ExplainedRead     `json:"reads,omitempty"`
	Narrowed  []string            `json:"narrowed,omitempty"` // by what more files may be left out when it runs
	Fragments []ExplainedFragment `json:"fragments,omitempty"`
	Retries   int                 `json:"retries"`
}

// ExplainedRead is what a stage reads of an earlier one.
type ExplainedRead struct {
	Stage int    `json:"stage"`
	How   string `json:"how"`
}

// ExplainedFragment is one worker's part of a stage.
type ExplainedFragment struct {
	Worker       string        `json:"worker"`
	Files        int           `json:"files"`
	FileRows     int64         `json:"file_rows"`
	BytesRead    int64         `json:"bytes_read"`
	BytesFetched int64         `json:"bytes_fetched"` // rows of earlier stages, from other workers
	BytesKept    int64         `json:"bytes_kept"`
	Rows         int64         `json:"rows"`
	Elapsed      time.Duration `json:"elapsed_ns"`
	Attempts     int           `json:"attempts"`
}

// Explain tells what the plan is.
func (p *Plan) Explain() *Explained {
	x := &Explained{Strategy: [...]string{Scan: "scan", Divide: "divide", Gather: "gather"}[p.Strategy], Why: p.Why}
	for _, t := range p.Tables {
		e := ExplainedTable{Table: t.Table, FilesKept: len(t.Kept), FilesKnown: t.FilesKnown}
		for _, f := range t.Kept {
			e.BytesKept += f.Bytes
		}
		x.Tables = append(x.Tables, e)
	}
	for _, s := range p.Stages {
		x.Stages = append(x.Stages, s.explain())
	}
	return x
}

func (s *Stage) explain() ExplainedStage {
	e := ExplainedStage{ID: s.ID, Runs: s.summary(), SQL: s.SQL}
	for _, r := range s.Reads {
		how := "all rows"
		if r.Only != "" {
			how = "all of " + r.Only
		}
		switch {
		case r.Own || r.Near:
			how = "where they are"
		case r.Ranged:
			how = "by ranges of " + r.Keys[0]
		case len(r.Keys) > 0:
			how = "by hash of " + strings.Join(r.Keys, ", ")
		}
		e.Reads = append(e.Reads, ExplainedRead{Stage: r.Stage, How: how})
	}
	for _, n := range s.Narrow {
		e.Narrowed = append(e.Narrowed, fmt.Sprintf("%s.%s within the bounds of stage %d", n.Table.Name, n.Column, n.Stage))
	}
	for i, f := range s.Fragments {
		files := map[string][]File{}
		for _, t := range s.Tables {
			files[t.View] = t.Of(i, f.Files)
		}
		e.Fragments = append(e.Fragments, ExplainFragment(f.Worker, files))
	}
	return e
}

// ExplainFragment tells what a fragment reads, by view.
func ExplainFragment(worker string, files map[string][]File) ExplainedFragment {
	e := ExplainedFragment{Worker: worker}
	for _, all := range files {
		for _, f := range all {
			e.Files++
			e.FileRows += f.Rows
			e.BytesRead += f.Bytes
		}
	}
	return e
}

func (s *Stage) summary() string {
	switch s.Kind {
	case Split:
		return "on " + count(len(s.Fragments), "worker")
	case Follow:
		return fmt.Sprintf("beside stage %d", s.Follow)
	case Shared:
		return "on all workers"
	case Ranged:
		return "by ranges of " + s.rangedKey()
	}
	if s.Why != "" {
		return "on one worker: " + s.Why
	}
	return "on one worker"
}

// String draws the plan as a tree.
func (p *Plan) String() string { return p.Explain().String() }

// String draws the plan as a tree: the last stage first, and below each stage
// those that it reads.
func (x *Explained) String() string {
	var b strings.Builder
	b.WriteString(x.Strategy)
	switch {
	case x.Strategy == "gather":
		b.WriteString("  on one worker: " + x.Why)
	case x.Strategy == "divide":
		b.WriteString("  " + count(len(x.Stages), "stage"))
	case len(x.Stages) == 1:
		b.WriteString("  " + count(len(x.Stages[0].Fragments), "fragment"))
	}
	if x.Analyzed {
		fmt.Fprintf(&b, "  rows=%d planned=%v elapsed=%v", x.Rows, round(x.Planned), round(x.Elapsed))
	}
	b.WriteString("\n")
	for _, t := range x.Tables {
		fmt.Fprintf(&b, "│  %s  files %d of %d\n", t.Table, t.FilesKept, t.FilesKnown)
	}
	x.draw(&b, len(x.Stages)-1, "", map[int]bool{})
	return b.String()
}

// draw writes a stage and those that it reads. A stage that was drawn already
// is only named.
func (x *Explained) draw(b *strings.Builder, id int, indent string, drawn map[int]bool) {
	s := x.Stages[id]
	drawn[id] = true
	fmt.Fprintf(b, "%s└─ stage %d  %s", indent, id, s.Runs)
	if s.Retries > 0 {
		fmt.Fprintf(b, "  retries=%d", s.Retries)
	}
	indent += "   "
	fmt.Fprintf(b, "\n%s%s\n", indent, s.SQL)
	for _, f := range s.Fragments {
		fmt.Fprintf(b, "%s· %s\n", indent, f.text(x.Analyzed))
	}
	for _, n := range s.Narrowed {
		fmt.Fprintf(b, "%s⊂ %s\n", indent, n)
	}
	for _, r := range s.Reads {
		fmt.Fprintf(b, "%s← stage %d: %s\n", indent, r.Stage, r.How)
		if !drawn[r.Stage] {
			x.draw(b, r.Stage, indent, drawn)
		}
	}
}

func (f ExplainedFragment) text(analyzed bool) string {
	if !analyzed {
		return fmt.Sprintf("%s  files=%d rows=%d", f.Worker, f.Files, f.FileRows)
	}
	s := fmt.Sprintf("%s  rows=%d time=%v", f.Worker, f.Rows, round(f.Elapsed))
	for _, v := range []struct {
		name string
		n    int64
	}{{"files", int64(f.Files)}, {"read", f.BytesRead}, {"fetched", f.BytesFetched}, {"kept", f.BytesKept}} {
		if v.n > 0 {
			s += fmt.Sprintf(" %s=%d", v.name, v.n)
		}
	}
	if f.Attempts > 1 {
		s += fmt.Sprintf(" attempts=%d", f.Attempts)
	}
	return s
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
