package bench

// PlanReport is of suite plan.
type PlanReport struct {
	Runs  int         `json:"runs"`
	Files int         `json:"files"` // of the point queries' tables
	Cases []PlanEntry `json:"statements"`
	P50MS float64     `json:"tpch_p50_ms"` // over all statements of TPC-H
	P95MS float64     `json:"tpch_p95_ms"`
}

// PlanEntry is one statement. Times are of EXPLAIN by Flight SQL, less the
// median of as many round trips that ask for no plan.
type PlanEntry struct {
	Name    string  `json:"name"`
	FirstMS float64 `json:"first_ms"` // of the first run, round trip and all, which reads the catalog
	P50MS   float64 `json:"p50_ms"`
	P95MS   float64 `json:"p95_ms"`
	TripMS  float64 `json:"round_trip_ms"` // taken off
	Kept    int     `json:"files_kept"`
	Known   int     `json:"files_known"`
	Error   string  `json:"error,omitempty"` // of the server
}

// DivideReport is of suite divide.
type DivideReport struct {
	Workers    []int         `json:"workers"`
	Queries    []ColdQuery   `json:"queries"`
	Shares     []DivideShare `json:"shares"`
	CoordBytes float64       `json:"coordinator_bytes_share"` // of the bytes read, over all queries, at the largest size
}

// DivideShare is the busiest of so many workers against the smallest cluster's,
// sums over the queries that read the fact table.
type DivideShare struct {
	Workers int     `json:"workers"`
	Bytes   float64 `json:"bytes_read"`
	CPU     float64 `json:"cpu"`
}

// LinksReport is of suite links.
type LinksReport struct {
	Workers []int       `json:"workers"`
	Mbit    int         `json:"mbit_per_second"`
	Queries []ColdQuery `json:"queries"`
	Sums    []LinksSum  `json:"sums"`
}

// LinksSum is all queries at one size.
type LinksSum struct {
	Workers int     `json:"workers"`
	MS      float64 `json:"ms"`
	LinkMS  float64 `json:"link_ms"` // what the busiest workers' links need at least
	Speedup float64 `json:"speedup"` // against the smallest size
}

// ColdQuery is a query at each size of the cluster.
type ColdQuery struct {
	Name string    `json:"name"`
	Fact bool      `json:"fact"` // it reads the fact table
	Runs []ColdRun `json:"runs"`
}

// ColdRun is a query on a cluster that has just been started, with empty
// caches.
type ColdRun struct {
	Workers    int     `json:"workers"`
	MS         float64 `json:"ms"`
	Read       int64   `json:"bytes_read"`      // from the object store, by all workers
	ReadMax    int64   `json:"bytes_read_max"`  // by one
	CPU        float64 `json:"cpu_seconds"`     // of all workers
	CPUMax     float64 `json:"cpu_seconds_max"` // of one
	Exchanged  int64   `json:"bytes_exchanged"` // between workers
	Results    int64   `json:"bytes_coordinator"`
	Error      string  `json:"error,omitempty"`
	Difference string  `json:"difference,omitempty"` // the first to DuckDB's answer
}

// verdict is the answer's check in a few words.
func (r ColdRun) verdict() string {
	switch {
	case r.Error != "":
		return "error"
	case r.Difference != "":
		return "wrong"
	}
	return "right"
}

// run is the query's run at a size; nil if there is none.
func (q ColdQuery) run(workers int) *ColdRun {
	for i := range q.Runs {
		if q.Runs[i].Workers == workers {
			return &q.Runs[i]
		}
	}
	return nil
}
