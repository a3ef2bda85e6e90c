package main

import (
	"fmt"
	"time"

	"skein/bench"
)

type benchCmd struct {
	Suite        []string      `arg:"" optional:"" help:"What to run: tpch, writes; both if none is named." enum:"tpch,writes"`
	Data         string        `help:"Directory of TPC-H Parquet files: TABLE.parquet or TABLE/*.parquet, as tpchgen-cli parquet makes them. Needed by tpch." type:"path" env:"SKEIN_BENCH_DATA" placeholder:"DIR"`
	Load         string        `help:"TPC-H tables on the server: auto loads missing ones, replace also those of another size, never none." enum:"auto,replace,never" default:"auto" placeholder:"MODE"`
	Queries      []int         `help:"TPC-H queries, by number; all if not given." placeholder:"N"`
	Runs         int           `help:"Measured runs of each query, after a warm-up." default:"3"`
	QueryTimeout time.Duration `help:"Longest time of one run." default:"5m" placeholder:"DURATION"`
	RatioMax     float64       `help:"Fail if the queries together take more than this times DuckDB's; 0 for no limit." default:"0" placeholder:"N"`
	HTTP         string        `name:"http" help:"URL of the server's REST port, which writes go to." default:"http://127.0.0.1:8080" env:"SKEIN_HTTP" placeholder:"URL"`
	Connections  int           `help:"Connections that write at once." default:"16"`
	Singles      int           `help:"Records written one a request." default:"2000"`
	Batches      int           `help:"NDJSON requests." default:"200"`
	BatchRows    int           `help:"Records in an NDJSON request." default:"1000"`
	KeepTable    bool          `help:"Leave the table of writes on the server."`
	TempDir      string        `help:"Directory for DuckDB's database; writes compare fairly on the disk of the server's data." type:"path" placeholder:"DIR"`
	JSON         string        `name:"json" help:"File for the whole report." type:"path" placeholder:"FILE"`
	Quiet        bool          `short:"q" help:"No progress on standard error."`

	Connection connectFlags `embed:""`
}

// Help is called by kong.
func (*benchCmd) Help() string {
	return `Measures a running server through its public ports, beside DuckDB in this process on the same data,
and checks every answer. A wrong answer, a lost or doubled row, or too high a ratio makes it fail.

    tpchgen-cli parquet -s 1 --output-dir tpch
    skein bench tpch --data tpch --json report.json`
}

// Run is called by kong.
func (c *benchCmd) Run(t *terminal) error {
	f := c.Connection
	o := bench.Options{
		Addr: f.Addr, HTTP: c.HTTP, User: f.User, Password: f.Password, Token: f.Token, TLS: f.TLS, CAFile: f.TLSCA,
		Suites: c.Suite, DataDir: c.Data, Load: c.Load, Queries: c.Queries, Runs: c.Runs,
		QueryTimeout: c.QueryTimeout, RatioMax: c.RatioMax,
		Connections: c.Connections, Singles: c.Singles, Batches: c.Batches, BatchRows: c.BatchRows, KeepTable: c.KeepTable,
		TempDir: c.TempDir, JSON: c.JSON,
	}
	if f.PasswordFile != "" {
		text, err := secretFile(f.PasswordFile)
		if err != nil {
			return usageError{fmt.Errorf("--password-file: %w", err)}
		}
		o.Password = text
	}
	if !c.Quiet {
		o.Progress = t.err
	}
	o.Version, _ = build()
	ctx, stop := interruptible()
	defer stop()
	return bench.Run(ctx, o, t.out)
}
