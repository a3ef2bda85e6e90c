package bench

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
)

func printPlan(b *strings.Builder, p *PlanReport) {
	w := newTable("statement", "first ms", "p50 ms", "p95 ms", "round trip ms", "files", "of")
	for _, e := range p.Cases {
		if e.Error != "" {
			w.AppendRow(table.Row{e.Name, "error", "", "", "", "", ""})
			continue
		}
		w.AppendRow(table.Row{e.Name, ms(e.FirstMS), ms2(e.P50MS), ms2(e.P95MS), ms2(e.TripMS), e.Kept, e.Known})
	}
	w.AppendFooter(table.Row{"TPC-H", "", ms2(p.P50MS), ms2(p.P95MS), "", "", ""})
	fmt.Fprintf(b, "\nPlanning, %d runs of EXPLAIN each, less the round trip\n%s\n", p.Runs, w.Render())
	for _, e := range p.Cases {
		if e.Error != "" {
			fmt.Fprintln(b, e.Error)
		}
	}
}

func printDivide(b *strings.Builder, d *DivideReport) {
	base, largest := d.Workers[0], d.Workers[len(d.Workers)-1]
	w := newTable("query", "fact", fmt.Sprintf("MB read on %d", base), fmt.Sprintf("busiest of %d", largest), "share",
		fmt.Sprintf("CPU s on %d", base), fmt.Sprintf("busiest of %d", largest), "share", "MB exchanged", "MB coordinator", "answer")
	for _, q := range d.Queries {
		one, many := q.run(base), q.run(largest)
		if one == nil || many == nil {
			continue
		}
		fact := ""
		if q.Fact {
			fact = "x"
		}
		w.AppendRow(table.Row{
			q.Name, fact, ms(mb(one.ReadMax)), ms(mb(many.ReadMax)), times(ratio(float64(many.ReadMax), float64(one.ReadMax))),
			times(one.CPUMax), times(many.CPUMax), times(ratio(many.CPUMax, one.CPUMax)),
			ms(mb(many.Exchanged)), fmt.Sprintf("%.3f", mb(many.Results)), coldVerdict(q),
		})
	}
	last := d.Shares[len(d.Shares)-1]
	w.AppendFooter(table.Row{"all", "", "", "", times(last.Bytes), "", "", times(last.CPU), "", fmt.Sprintf("%.4f%%", d.CoordBytes*100), ""})
	fmt.Fprintf(b, "\nTPC-H on clusters of %s workers, caches empty; shares of all: queries of the fact table\n%s\n", list(d.Workers), w.Render())
	printProblems(b, d.Queries)
}

func printLinks(b *strings.Builder, l *LinksReport) {
	names := []string{"query"}
	for _, n := range l.Workers {
		names = append(names, fmt.Sprintf("ms on %d", n), fmt.Sprintf("link ms on %d", n))
	}
	w := newTable(append(names, "speedup", "answer")...)
	for _, q := range l.Queries {
		row := table.Row{q.Name}
		var first, last float64
		for i, n := range l.Workers {
			r := q.run(n)
			if r == nil {
				row = append(row, "", "")
				continue
			}
			row = append(row, ms(r.MS), ms(linkMS(r.ReadMax, l.Mbit)))
			if last = r.MS; i == 0 {
				first = r.MS
			}
		}
		w.AppendRow(append(row, times(ratio(first, last)), coldVerdict(q)))
	}
	sum := table.Row{"sum"}
	for _, s := range l.Sums {
		sum = append(sum, ms(s.MS), ms(s.LinkMS))
	}
	if n := len(l.Sums); n > 0 {
		w.AppendFooter(append(sum, times(l.Sums[n-1].Speedup), ""))
	}
	fmt.Fprintf(b, "\nTPC-H with links of %d Mbit/s to the object store, caches empty; link ms: what the busiest link needs\n%s\n", l.Mbit, w.Render())
	printProblems(b, l.Queries)
}

func printStream(b *strings.Builder, r *StreamReport) {
	w := newTable("lineitem", "round", "skein ms", "DuckDB ms", "DuckDB/skein")
	for _, race := range []struct {
		name string
		StreamRace
	}{{"ingest", r.Ingest}, {"read", r.Read}} {
		for i := range race.SkeinMS {
			w.AppendRow(table.Row{race.name, i + 1, ms(race.SkeinMS[i]), ms(race.DuckMS[i]), times(ratio(race.DuckMS[i], race.SkeinMS[i]))})
		}
		w.AppendRow(table.Row{race.name, "median", "", "", times(race.Ratio)})
	}
	fmt.Fprintf(b, "\nlineitem, %d rows of %.0f MB: adbc_ingest beside COPY to Parquet, and all columns to Arrow\n%s\n", r.Rows, mb(r.Bytes), w.Render())
	for _, p := range r.Peers {
		if p.Error != "" {
			fmt.Fprintf(b, "%s was not measured: %s\n", p.Name, p.Error)
			continue
		}
		fmt.Fprintf(b, "%s reads the same in %.2f times Skein's time\n", p.Name, p.Ratio)
	}
	w = newTable("nodes", "cold", "rows", "first batch ms", "all ms", "memory grown MB")
	for _, l := range r.Large {
		w.AppendRow(table.Row{l.Nodes, l.Cold, l.Rows, ms(l.FirstMS), ms(l.MS), ms(l.GrownMB)})
	}
	fmt.Fprintf(b, "\nA large result of three columns\n%s\n", w.Render())
}

func printBackup(b *strings.Builder, r *BackupReport) {
	w := newTable("round", "backup ms", "plain copy ms", "plain/backup")
	for i, p := range r.Rounds {
		w.AppendRow(table.Row{i + 1, ms(p.SkeinMS), ms(p.PlainMS), times(ratio(p.PlainMS, p.SkeinMS))})
	}
	w.AppendFooter(table.Row{"all", "", "", times(r.Ratio)})
	fmt.Fprintf(b, "\nBackup of %d objects with %.1f MB beside a plain copy of %d at once\n%s\n", r.Objects, mb(r.Bytes), backupParallel, w.Render())
}

func printCatalog(b *strings.Builder, r *CatalogReport) {
	w := newTable("catalog", "what", "seconds", "memory grown MB", "snapshot MB")
	for _, s := range r.Steps {
		size := ""
		if s.Snapshot > 0 {
			size = ms(mb(s.Snapshot))
		}
		w.AppendRow(table.Row{s.Store, s.What, ms2(s.Seconds), ms(s.GrownMB), size})
	}
	fmt.Fprintf(b, "\nSnapshots and restores of an index of %d files\n%s\n", r.Files, w.Render())
}

// coldVerdict is the worst of a query's runs.
func coldVerdict(q ColdQuery) string {
	for _, r := range q.Runs {
		if v := r.verdict(); v != "right" {
			return v
		}
	}
	return "right"
}

func printProblems(b *strings.Builder, queries []ColdQuery) {
	for _, q := range queries {
		for _, r := range q.Runs {
			if text := r.Error + r.Difference; text != "" {
				fmt.Fprintf(b, "%s on %d: %s\n", q.Name, r.Workers, text)
			}
		}
	}
}

func list(n []int) string { return strings.Trim(strings.ReplaceAll(fmt.Sprint(n), " ", ", "), "[]") }

func ms2(v float64) string { return fmt.Sprintf("%.2f", v) }
