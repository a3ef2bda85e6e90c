package bench

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// printReport writes the report for people.
func printReport(w io.Writer, r *Report) error {
	var b strings.Builder
	if m := r.Machine; m.Cores > 0 {
		fmt.Fprintf(&b, "%s; %d cores, %.1f GiB, %s/%s, %s, DuckDB %s, %s\n",
			r.Server, m.Cores, float64(m.MemoryBytes)/(1<<30), m.OS, m.Arch, m.Go, m.DuckDB, m.Date.Format("2006-01-02 15:04:05Z"))
	}
	if r.TPCH != nil && len(r.TPCH.Queries) > 0 {
		printTPCH(&b, r.TPCH)
	}
	if r.Writes != nil && len(r.Writes.Modes) > 0 {
		printWrites(&b, r.Writes)
	}
	if r.Plan != nil && len(r.Plan.Cases) > 0 {
		printPlan(&b, r.Plan)
	}
	if r.Divide != nil && len(r.Divide.Queries) > 0 {
		printDivide(&b, r.Divide)
	}
	if r.Stream != nil && len(r.Stream.Read.SkeinMS) > 0 {
		printStream(&b, r.Stream)
	}
	if r.Links != nil && len(r.Links.Queries) > 0 {
		printLinks(&b, r.Links)
	}
	if r.Backup != nil && len(r.Backup.Rounds) > 0 {
		printBackup(&b, r.Backup)
	}
	if r.Catalog != nil && len(r.Catalog.Steps) > 0 {
		printCatalog(&b, r.Catalog)
	}
	for _, t := range r.Targets {
		fmt.Fprintln(&b, t)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func printTPCH(b *strings.Builder, t *TPCHReport) {
	w := newTable("query", "skein ms", "duckdb ms", "ratio", "rows", "answer")
	for _, q := range t.Queries {
		if q.Error != "" {
			w.AppendRow(table.Row{q.Name, "", "", "", "", q.verdict()})
			continue
		}
		w.AppendRow(table.Row{q.Name, ms(q.SkeinMS), ms(q.DuckMS), times(q.Ratio), q.Rows, q.verdict()})
	}
	w.AppendFooter(table.Row{"sum", ms(t.SkeinMS), ms(t.DuckMS), times(t.Ratio), "", ""})
	fmt.Fprintf(b, "\nTPC-H, medians of %d\n%s\n", t.Runs, w.Render())
	for _, q := range t.Queries {
		if q.Error != "" {
			fmt.Fprintf(b, "%s: %s\n", q.Name, q.Error)
		}
		for _, d := range q.Differences {
			fmt.Fprintf(b, "%s: %s\n", q.Name, d)
		}
	}
}

func printWrites(b *strings.Builder, r *WritesReport) {
	w := newTable("writes", "rows", "skein rows/s", "p50 ms", "p99 ms", "retries", "duckdb rows/s", "p50 ms", "p99 ms", "ratio")
	for _, m := range r.Modes {
		w.AppendRow(table.Row{
			m.Name, m.Rows, fmt.Sprintf("%.0f", m.Skein.RowsPerSecond), ms(m.Skein.P50MS), ms(m.Skein.P99MS), m.Skein.Retries,
			fmt.Sprintf("%.0f", m.DuckDB.RowsPerSecond), ms(m.DuckDB.P50MS), ms(m.DuckDB.P99MS), times(m.Ratio),
		})
	}
	fmt.Fprintf(b, "\nREST writes, %d connections; latency of a request\n%s\n", r.Connections, w.Render())
	fmt.Fprintf(b, "%d rows acknowledged: %d missing, %d repeated, %d wrong\n", r.Rows, r.Missing, r.Repeated, r.Wrong)
	for _, e := range r.Examples {
		fmt.Fprintln(b, e)
	}
}

func newTable(names ...string) table.Writer {
	w := table.NewWriter()
	style := table.StyleLight
	style.Format.Header, style.Format.Footer = text.FormatDefault, text.FormatDefault
	w.SetStyle(style)
	header := make(table.Row, len(names))
	columns := make([]table.ColumnConfig, len(names))
	for i, n := range names {
		header[i] = n
		columns[i] = table.ColumnConfig{Number: i + 1}
		if i > 0 && n != "answer" {
			columns[i].Align, columns[i].AlignHeader, columns[i].AlignFooter = text.AlignRight, text.AlignRight, text.AlignRight
		}
	}
	w.AppendHeader(header)
	w.SetColumnConfigs(columns)
	return w
}

func ms(v float64) string    { return fmt.Sprintf("%.1f", v) }
func times(v float64) string { return fmt.Sprintf("%.2f", v) }
