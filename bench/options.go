package bench

import (
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"skein/bench/cluster"
	"skein/bench/tpch"
	"skein/internal/fault"
)

// What to do about TPC-H tables on the server.
const (
	LoadAuto    = "auto"    // load what is missing; a table of another size is an error
	LoadReplace = "replace" // load what is missing or of another size
	LoadNever   = "never"   // a table that is missing or of another size is an error
)

// The limits of a run.
const (
	runsMax        = 1000
	connectionsMax = 1024
	rowsMax        = 2_000_000 // written in one run
	batchRowsMax   = 100_000
	planFilesMax   = 10_000_000
	mbitMax        = 100_000
	backupFilesMax = 1_000_000
	streamRowsMax  = 1_000_000_000
)

// Options of a run.
type Options struct {
	Addr     string // host:port of Flight SQL, also with grpc:// or grpc+tls:// before it; 127.0.0.1:8815 if empty
	HTTP     string // URL of REST; http://127.0.0.1:8080 if empty
	User     string // with Password
	Password string
	Token    string // in place of User
	TLS      bool   // over Addr; HTTP says it by https://
	CAFile   string // PEM; the system's roots if empty

	Suites       []string      // tpch and writes, which measure a running server, if empty
	DataDir      string        // TPC-H in Parquet: DIR/TABLE.parquet or DIR/TABLE/**/*.parquet; needed by all but writes
	Load         string        // LoadAuto if empty
	Queries      []int         // of TPC-H, from 1; all if empty
	Runs         int           // measured runs of a query, after one warm-up; 3 if zero
	QueryTimeout time.Duration // of one run; 5 min if zero
	RatioMax     float64       // the run fails if the sum of TPC-H takes more than this times DuckDB's; none if zero

	Connections int  // that write at once; 16 if zero
	Singles     int  // records written one a request; 2,000 if zero
	Batches     int  // NDJSON requests; 200 if zero
	BatchRows   int  // records in each of them; 1,000 if zero
	KeepTable   bool // leave the written table on the server

	Program      string // skein, which plan, divide and links start servers with; needed by them
	MinIO        string // program; minio in PATH if empty
	Threads      int    // of each server that is started; its own default if zero
	Workers      []int  // sizes of clusters; 1 and 4, with links 1, 2 and 4 if empty
	PlanRuns     int    // how often each statement is planned; 50 if zero
	PlanFiles    int    // of the table of the point query; 1,000,000 if zero
	Mbit         int    // a second, of a worker's link to the object store in suite links; 100 if zero
	Inside       bool   // this process is in the network that suite links may change: see netlab.Enter
	BackupFiles  int    // that suite backup copies; 10,000 if zero
	CatalogFiles int    // of the index of suite catalog; 1,000,000 if zero
	StreamRows   int    // of the large result of suite stream; 100,000,000 if zero
	PeerDir      string // where suite stream finds the programs sail and roapi; it leaves them out if empty
	Enforce      bool   // the run fails if a suite's target is missed

	TempDir  string    // of the peer's database file and spills; the system's if empty. Writes compare fairly on the disk of the server's data
	JSON     string    // file for the report; none if empty
	Version  string    // of this program, for the report
	Progress io.Writer // a line for each step; none if nil
}

// withDefaults fills in and validates; errors are InvalidArgument.
func (o Options) withDefaults() (Options, error) {
	set(&o.Addr, "127.0.0.1:8815")
	set(&o.HTTP, "http://127.0.0.1:8080")
	set(&o.Load, LoadAuto)
	set(&o.Runs, 3)
	set(&o.QueryTimeout, 5*time.Minute)
	set(&o.Connections, 16)
	set(&o.Singles, 2000)
	set(&o.Batches, 200)
	set(&o.BatchRows, 1000)
	set(&o.PlanRuns, 50)
	set(&o.PlanFiles, 1_000_000)
	set(&o.Mbit, 100)
	set(&o.BackupFiles, 10_000)
	set(&o.CatalogFiles, 1_000_000)
	set(&o.StreamRows, 100_000_000)
	if len(o.Suites) == 0 {
		o.Suites = []string{SuiteTPCH, SuiteWrites}
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	for _, check := range []func(*Options) error{checkServer, checkSuites, checkLimits} {
		if err := check(&o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// set gives a zero value its default.
func set[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

func checkServer(o *Options) error {
	if scheme, rest, ok := strings.Cut(o.Addr, "://"); ok {
		switch scheme {
		case "grpc", "grpc+tcp":
		case "grpc+tls":
			o.TLS = true
		default:
			return invalid("address %s: want host:port, the server's gRPC port", o.Addr)
		}
		o.Addr = strings.TrimSuffix(rest, "/")
	}
	host, port, err := net.SplitHostPort(o.Addr)
	if err != nil || port == "" {
		return invalid("address %s: want host:port, such as 127.0.0.1:8815", o.Addr)
	}
	if host == "" {
		o.Addr = net.JoinHostPort("127.0.0.1", port)
	}
	u, err := url.Parse(o.HTTP)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return invalid("HTTP address %s: want a URL such as http://127.0.0.1:8080", o.HTTP)
	}
	o.HTTP = strings.TrimSuffix(o.HTTP, "/")
	if o.Token != "" && o.User != "" {
		return invalid("a token and a user exclude each other")
	}
	return nil
}

func checkSuites(o *Options) error {
	names := []string{}
	for _, s := range suites() {
		names = append(names, s.name)
	}
	for _, s := range o.Suites {
		if !slices.Contains(names, s) {
			return invalid("suite %q: want one of %s", s, strings.Join(names, ", "))
		}
	}
	if !slices.Contains([]string{LoadAuto, LoadReplace, LoadNever}, o.Load) {
		return invalid("load %q: want %s, %s or %s", o.Load, LoadAuto, LoadReplace, LoadNever)
	}
	for _, n := range o.Queries {
		if n < 1 || n > tpch.QueryCount {
			return invalid("query %d: want a number from 1 to %d", n, tpch.QueryCount)
		}
	}
	for _, s := range o.chosen() {
		if s.data && o.DataDir == "" {
			return invalid("suite %s needs a data directory: make one with `tpchgen-cli parquet -s 1 --output-dir DIR`", s.name)
		}
		if s.program && o.Program == "" {
			return invalid("suite %s needs the program to start servers with", s.name)
		}
	}
	if o.runs(SuiteLinks) && len(o.chosen()) > 1 {
		return invalid("suite %s runs alone: its network is not the machine's", SuiteLinks)
	}
	return nil
}

func checkLimits(o *Options) error {
	for _, l := range []struct {
		what string
		n    int
		max  int
	}{
		{"runs", o.Runs, runsMax},
		{"connections", o.Connections, connectionsMax},
		{"single writes", o.Singles, rowsMax},
		{"batches", o.Batches, rowsMax},
		{"batch rows", o.BatchRows, batchRowsMax},
		{"planning runs", o.PlanRuns, runsMax},
		{"files of the point query's table", o.PlanFiles, planFilesMax},
		{"megabits a second", o.Mbit, mbitMax},
		{"files to back up", o.BackupFiles, backupFilesMax},
		{"rows of the large result", o.StreamRows, streamRowsMax},
		{"files of the catalog", o.CatalogFiles, planFilesMax},
	} {
		if l.n < 1 || l.n > l.max {
			return invalid("%s: %d: want 1 to %d", l.what, l.n, l.max)
		}
	}
	for _, n := range o.Workers {
		if n < 1 || n > cluster.WorkersMax {
			return invalid("workers: %d: want 1 to %d", n, cluster.WorkersMax)
		}
	}
	if o.Threads < 0 {
		return invalid("threads: %d: want a positive number, or 0 for the default", o.Threads)
	}
	if rows := o.Singles + o.Batches*o.BatchRows; rows > rowsMax {
		return invalid("%d rows to write: want at most %d", rows, rowsMax)
	}
	if o.RatioMax < 0 {
		return invalid("greatest ratio %g: want a positive number, or 0 for none", o.RatioMax)
	}
	if o.QueryTimeout < 0 {
		return invalid("query timeout %s: want a positive time", o.QueryTimeout)
	}
	return nil
}

func (o *Options) runs(suite string) bool { return slices.Contains(o.Suites, suite) }

// chosen are the suites to run, in order.
func (o *Options) chosen() []suite {
	return slices.DeleteFunc(suites(), func(s suite) bool { return !o.runs(s.name) })
}

// sizes are the clusters' sizes in rising order.
func (o *Options) sizes(otherwise []int) []int {
	if len(o.Workers) > 0 {
		otherwise = o.Workers
	}
	return slices.Compact(slices.Sorted(slices.Values(otherwise)))
}

func invalid(format string, args ...any) error {
	return fault.Newf(fault.InvalidArgument, format, args...)
}
