package worker

import "github.com/prometheus/client_golang/prometheus"

// metrics of a worker. Without a registerer they count for nobody.
type metrics struct {
	registerer    prometheus.Registerer
	all           []prometheus.Collector
	rows          prometheus.Counter
	refused       prometheus.Counter
	flushes       prometheus.Histogram
	flushFailures prometheus.Counter
	uploaded      prometheus.Counter
	ingested      prometheus.Counter
	takeovers     prometheus.Counter
}

func newMetrics(r prometheus.Registerer, w *Worker) (*metrics, error) {
	m := &metrics{registerer: r}
	m.rows = m.counter("skein_worker_rows_total", "Rows acknowledged by the Write API.")
	m.refused = m.counter("skein_worker_writes_refused_total", "Writes refused because the buffer was full.")
	m.flushFailures = m.counter("skein_worker_flush_failures_total", "Tries to flush a unit that failed.")
	m.uploaded = m.counter("skein_worker_uploaded_bytes_total", "Bytes of data files uploaded.")
	m.ingested = m.counter("skein_worker_ingested_rows_total", "Rows of bulk loads written to files.")
	m.takeovers = m.counter("skein_worker_takeovers_total", "Units of other nodes committed from their replica.")
	m.flushes = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "skein_worker_flush_seconds", Help: "Time to flush a unit, of the try that succeeded.",
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
	})
	m.all = append(m.all, m.flushes,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "skein_worker_buffered_bytes", Help: "Acknowledged rows not yet in files."},
			func() float64 { return float64(w.buffered()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "skein_worker_log_bytes", Help: "Size of the log."},
			func() float64 { return float64(w.wal.Bytes()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "skein_worker_replica_log_bytes", Help: "Size of the log of other nodes' rows."},
			func() float64 { return float64(w.replicas.log.Bytes()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "skein_duckdb_connections", Help: "Open connections to DuckDB: statements, streams and what they keep."},
			func() float64 { return float64(w.db.Connections()) }))
	if r == nil {
		return m, nil
	}
	for i, c := range m.all {
		if err := r.Register(c); err != nil {
			m.all = m.all[:i]
			return m, err
		}
	}
	return m, nil
}

func (m *metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.all = append(m.all, c)
	return c
}

func (m *metrics) unregister() {
	if m.registerer == nil {
		return
	}
	for _, c := range m.all {
		m.registerer.Unregister(c)
	}
}

// buffered is the size of all rows that are not in files yet.
func (w *Worker) buffered() (bytes int64) {
	for _, t := range w.tableList("") {
		t.mu.Lock()
		for _, u := range t.units {
			bytes += u.queuedBytes
		}
		t.mu.Unlock()
	}
	return bytes
}
