package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"skein/bench/answer"
	"skein/internal/fault"
)

// Report is what a run found. Times are in milliseconds; a ratio of times is
// Skein's to DuckDB's (lower is better), of rates too (higher is better).
type Report struct {
	Machine Machine        `json:"machine"`
	Server  string         `json:"server"` // its name and version
	TPCH    *TPCHReport    `json:"tpch,omitempty"`
	Writes  *WritesReport  `json:"writes,omitempty"`
	Plan    *PlanReport    `json:"plan,omitempty"`
	Divide  *DivideReport  `json:"divide,omitempty"`
	Links   *LinksReport   `json:"links,omitempty"`
	Stream  *StreamReport  `json:"stream,omitempty"`
	Backup  *BackupReport  `json:"backup,omitempty"`
	Catalog *CatalogReport `json:"catalog,omitempty"`
	Targets []Target       `json:"targets,omitempty"` // of the suites that start servers
	Failure string         `json:"failure,omitempty"` // why the run failed
}

// TPCHReport is of suite tpch.
type TPCHReport struct {
	Runs    int           `json:"runs"`
	Tables  []TableReport `json:"tables"`
	Queries []QueryReport `json:"queries"`
	SkeinMS float64       `json:"skein_ms"` // sum of the medians of queries that both engines answered
	DuckMS  float64       `json:"duckdb_ms"`
	Ratio   float64       `json:"ratio"`
}

// TableReport is one table of the data set.
type TableReport struct {
	Name    string  `json:"name"`
	Rows    int64   `json:"rows"`
	Loaded  bool    `json:"loaded"` // by this run
	Seconds float64 `json:"seconds,omitempty"`
}

// QueryReport is one query.
type QueryReport struct {
	Name        string              `json:"name"`
	Rows        int                 `json:"rows"`
	SkeinMS     float64             `json:"skein_ms"` // median
	DuckMS      float64             `json:"duckdb_ms"`
	Ratio       float64             `json:"ratio"`
	SkeinRuns   []float64           `json:"skein_runs_ms"`
	DuckRuns    []float64           `json:"duckdb_runs_ms"`
	Error       string              `json:"error,omitempty"`       // of the server
	Differences []answer.Difference `json:"differences,omitempty"` // of the server's answer to DuckDB's, in its first wrong run
}

// WritesReport is of suite writes.
type WritesReport struct {
	Connections int           `json:"connections"`
	Modes       []WriteReport `json:"modes"`
	Rows        int           `json:"rows"`               // acknowledged
	Missing     int           `json:"missing"`            // acknowledged, not found
	Repeated    int           `json:"repeated"`           // found more than once
	Wrong       int           `json:"wrong"`              // found with other values, or never written
	Examples    []string      `json:"examples,omitempty"` // of these three
}

// WriteReport is one way of writing.
type WriteReport struct {
	Name        string  `json:"name"` // single, ndjson
	RowsRequest int     `json:"rows_per_request"`
	Rows        int     `json:"rows"`
	Skein       Rate    `json:"skein"`
	DuckDB      Rate    `json:"duckdb"` // a transaction a request, durable
	Ratio       float64 `json:"ratio"`
}

// Rate is how fast one engine wrote.
type Rate struct {
	RowsPerSecond float64 `json:"rows_per_second"`
	P50MS         float64 `json:"p50_ms"` // of one request until it is acknowledged
	P99MS         float64 `json:"p99_ms"`
	Retries       int     `json:"retries"` // requests told to come later
}

func rateOf(rows int, took time.Duration, latencies []time.Duration) Rate {
	return Rate{
		RowsPerSecond: ratio(float64(rows), took.Seconds()),
		P50MS:         millis(percentile(latencies, 50)),
		P99MS:         millis(percentile(latencies, 99)),
	}
}

// reportFile is made before the run, so that a bad path does not cost one.
func reportFile(path string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fault.Newf(fault.InvalidArgument, "report: %w", err)
	}
	return f, nil
}

func writeReport(w io.Writer, r *Report) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
