package main

import (
	"fmt"
	"os"
	"slices"
	"time"

	"skein/bench"
	"skein/bench/netlab"
)

type benchCmd struct {
	Suite        []string      `arg:"" optional:"" help:"What to run: tpch, writes, plan, divide, stream, links, backup, catalog; the first two if none is named." enum:"tpch,writes,plan,divide,stream,links,backup,catalog"`
	Data         string        `help:"Directory of TPC-H Parquet files: TABLE.parquet or TABLE/**/*.parquet, as tpchgen-cli parquet makes them; with --load=never also the objects directory of a server of one node, so that DuckDB reads the same files. Needed by all but writes, backup and catalog." type:"path" env:"SKEIN_BENCH_DATA" placeholder:"DIR"`
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
	Workers      []int         `help:"Sizes of the clusters of divide and links; 1,4 and 1,2,4 if not given." placeholder:"N"`
	PlanRuns     int           `help:"How often plan plans each statement." default:"50"`
	PlanFiles    int           `help:"Files of the table that plan's point query is on." default:"1000000"`
	Mbit         int           `help:"Megabits a second of a worker's link to the object store, each way, in links." default:"100"`
	BackupFiles  int           `help:"Files that backup copies." default:"10000"`
	CatalogFiles int           `help:"Files of the index that catalog restores." default:"1000000"`
	StreamRows   int           `help:"Rows of the large result that stream reads." default:"100000000"`
	PeerDir      string        `help:"Directory of the programs sail and roapi, which stream reads the same files with; they are left out if not given." type:"path" placeholder:"DIR"`
	Threads      int           `help:"Threads of each server that plan, divide and links start; one for each core if not given."`
	MinIO        string        `name:"minio" help:"MinIO server that plan, divide and links start." default:"minio" env:"SKEIN_BENCH_MINIO" placeholder:"FILE"`
	Enforce      bool          `help:"Fail if a target of plan, divide or links is missed."`
	Inside       bool          `hidden:""`
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
    skein bench tpch --data tpch --json report.json

Six suites need no server: they start Redis, MinIO and Skein on their own, and remove all of it at the end. plan
tells what planning costs, divide how bytes read and CPU time divide over workers, stream how fast rows come and go beside
DuckDB, links, which needs root, how
queries speed up with workers whose links to the object store are slow, backup how fast files are backed up,
beside a plain copy of the same objects, and catalog what snapshots and restores of a large index take.

    skein bench plan divide --data tpch
    sudo skein bench links --data tpch`
}

// Run is called by kong.
func (c *benchCmd) Run(t *terminal) error {
	f := c.Connection
	o := bench.Options{
		Addr: f.Addr, HTTP: c.HTTP, User: f.User, Password: f.Password, Token: f.Token, TLS: f.TLS, CAFile: f.TLSCA,
		Suites: c.Suite, DataDir: c.Data, Load: c.Load, Queries: c.Queries, Runs: c.Runs,
		QueryTimeout: c.QueryTimeout, RatioMax: c.RatioMax,
		Connections: c.Connections, Singles: c.Singles, Batches: c.Batches, BatchRows: c.BatchRows, KeepTable: c.KeepTable,
		Workers: c.Workers, PlanRuns: c.PlanRuns, PlanFiles: c.PlanFiles, Mbit: c.Mbit, Threads: c.Threads,
		BackupFiles: c.BackupFiles, CatalogFiles: c.CatalogFiles, StreamRows: c.StreamRows, PeerDir: c.PeerDir, MinIO: c.MinIO, Enforce: c.Enforce, Inside: c.Inside,
		TempDir: c.TempDir, JSON: c.JSON,
	}
	var err error
	if o.Program, err = os.Executable(); err != nil {
		return err
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
	if slices.Contains(c.Suite, bench.SuiteLinks) && !c.Inside {
		code, err := netlab.Enter(ctx, append([]string{o.Program}, append(os.Args[1:len(os.Args):len(os.Args)], "--inside")...), t.out, t.err)
		if err == nil && code != 0 {
			return exitError(code)
		}
		return err
	}
	return bench.Run(ctx, o, t.out)
}
