package worker

import (
	"fmt"
	"sync/atomic"
	"testing"

	"skein/meta"
	nodev1 "skein/proto/node/v1"
)

// BenchmarkAppend writes small rows from 16 goroutines while flushes run.
func BenchmarkAppend(b *testing.B) {
	for _, rows := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			h, err := openHouse(b.TempDir(), Options{}, nil)
			if err != nil {
				b.Fatal(err)
			}
			if err := create(b.Context(), h.catalog, "t", "t-uid", meta.Config{BufferSize: 100_000}, recordSchema()); err != nil {
				b.Fatal(err)
			}
			h.w.Start(b.Context())
			var next atomic.Int64
			b.SetParallelism(8) // of 2 cores
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					records := make([]*nodev1.Record, rows)
					for i := range records {
						n := next.Add(1)
						records[i] = record(fmt.Sprintf("user-%d", n%20), at(int(n/1000)), fmt.Sprintf(`{"name":"user %d","age":%d,"city":"Paris","score":%d.5}`, n, n%90, n))
					}
					if err := h.w.Append(b.Context(), &nodev1.AppendRequest{Table: "t", TableUid: "t-uid", Records: records}); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.StopTimer()
			b.ReportMetric(float64(next.Load())/b.Elapsed().Seconds(), "rows/s")
			if err := h.close(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkIngest loads 6 million rows like TPC-H's lineitem.
func BenchmarkIngest(b *testing.B) {
	for name, time := range map[string]string{"plain": "", "time": "shipdate"} {
		b.Run(name, func(b *testing.B) {
			h, err := openHouse(b.TempDir(), Options{}, nil)
			if err != nil {
				b.Fatal(err)
			}
			const sql = `SELECT range AS k, (range * 7919) % 10000 AS part, (range % 50)::DECIMAL(15,2) AS quantity, (range % 100000)::DECIMAL(15,2) AS price,
				DATE '1992-01-01' + ((range * 31) % 2526)::INTEGER AS shipdate, 'comment ' || (range % 1000) AS comment FROM range(6000000)`
			for b.Loop() {
				conn, err := h.db.Conn(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				rows, err := conn.Query(b.Context(), sql)
				if err != nil {
					b.Fatal(err)
				}
				cols, err := h.w.ArrowColumns(b.Context(), rows.Schema())
				if err != nil {
					b.Fatal(err)
				}
				table := meta.Table{Name: "t", UID: "t-uid", Schemas: []meta.Schema{{Columns: cols, TimeColumn: time}}}
				files, n, err := h.w.Ingest(b.Context(), table, rows)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(files)), "files")
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
				rows.Close()
				conn.Close()
			}
			h.close(b.Context())
		})
	}
}
