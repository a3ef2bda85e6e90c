package planner

import (
	"fmt"
	"strings"
)

// String draws the plan as a tree that a person can read: the last stage
// first, and below each stage those that it reads.
func (p *Plan) String() string {
	var b strings.Builder
	switch p.Strategy {
	case Scan:
		fmt.Fprintf(&b, "scan  %s\n", count(len(p.Stages[0].Fragments), "fragment"))
	case Divide:
		fmt.Fprintf(&b, "divide  %s\n", count(len(p.Stages), "stage"))
	case Gather:
		fmt.Fprintf(&b, "gather  on one worker: %s\n", p.Why)
	}
	for _, t := range p.Tables {
		fmt.Fprintf(&b, "│  %s  files %d of %d\n", t.Table, len(t.Kept), t.FilesKnown)
	}
	p.draw(&b, len(p.Stages)-1, "", map[int]bool{})
	return b.String()
}

// draw writes a stage and what it reads. A stage that was drawn is only named.
func (p *Plan) draw(b *strings.Builder, id int, indent string, drawn map[int]bool) {
	s := p.Stages[id]
	fmt.Fprintf(b, "%s└─ stage %d  %s\n", indent, id, s.summary())
	indent += "   "
	if drawn[id] {
		return
	}
	drawn[id] = true
	fmt.Fprintf(b, "%s%s\n", indent, s.SQL)
	for _, f := range s.Fragments {
		rows := int64(0)
		for _, file := range f.Files {
			rows += file.Rows
		}
		fmt.Fprintf(b, "%s· %s  files=%d rows=%d\n", indent, f.Worker, len(f.Files), rows)
	}
	for _, r := range s.Reads {
		how := "all rows"
		switch {
		case r.Own:
			how = "where they are"
		case len(r.Keys) > 0:
			how = "by hash of " + strings.Join(r.Keys, ", ")
		}
		fmt.Fprintf(b, "%s← %s: %s\n", indent, r.View, how)
		if !drawn[r.Stage] {
			p.draw(b, r.Stage, indent, drawn)
		}
	}
}

func (s *Stage) summary() string {
	var what string
	switch s.Kind {
	case Split:
		what = "on " + count(len(s.Fragments), "worker")
	case Follow:
		what = fmt.Sprintf("beside stage %d", s.Follow)
	case Shared:
		what = "on all workers"
	case One:
		what = "on one worker"
		if s.Why != "" {
			what += ": " + s.Why
		}
	}
	return what
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
