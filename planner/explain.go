package planner

import (
	"fmt"
	"strings"
)

// String draws the plan as a tree that a person can read.
func (p *Plan) String() string {
	var b strings.Builder
	switch p.Strategy {
	case Scan:
		fmt.Fprintf(&b, "scan  %s\n", count(len(p.Fragments), "fragment"))
	case Gather:
		fmt.Fprintf(&b, "gather  on one worker: %s\n", p.Why)
	}
	for _, t := range p.Tables {
		fmt.Fprintf(&b, "│  %s  files %d of %d\n", t.Table, len(t.Kept), t.FilesKnown)
	}
	for i, f := range p.Fragments {
		branch := "├─"
		if i == len(p.Fragments)-1 {
			branch = "└─"
		}
		var files, rows int64
		for _, t := range f.Files {
			for _, file := range t {
				files, rows = files+1, rows+file.Rows
			}
		}
		fmt.Fprintf(&b, "%s %s  files=%d rows=%d\n", branch, f.Worker, files, rows)
	}
	b.WriteString("   " + p.SQL + "\n")
	return b.String()
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
