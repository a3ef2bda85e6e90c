package bench

import (
	"context"
	"fmt"

	"skein/bench/cluster"
)

// runDivide runs TPC-H on clusters of several sizes and counts what each node
// does.
func runDivide(ctx context.Context, w *own, sizes []int) (*DivideReport, error) {
	report := &DivideReport{Workers: sizes}
	c, stop, err := w.start(ctx, cluster.Options{})
	if err != nil {
		return report, err
	}
	defer stop()
	if err := w.load(ctx, c); err != nil {
		return report, err
	}
	report.Queries, err = w.cold(ctx, c, sizes)
	report.sum()
	return report, err
}

// sum compares the sizes over the queries that all of them answered.
func (d *DivideReport) sum() {
	base, largest := d.Workers[0], d.Workers[len(d.Workers)-1]
	d.Shares, d.CoordBytes = []DivideShare{}, 0
	var through, read int64
	for _, workers := range d.Workers {
		var bytes, bytesBase int64
		var cpu, cpuBase float64
		for _, q := range d.Queries {
			r, b := q.run(workers), q.run(base)
			if r == nil || b == nil || r.Error != "" || b.Error != "" {
				continue
			}
			if workers == largest {
				through, read = through+r.Results, read+r.Read
			}
			if q.Fact {
				bytes, bytesBase = bytes+r.ReadMax, bytesBase+b.ReadMax
				cpu, cpuBase = cpu+r.CPUMax, cpuBase+b.CPUMax
			}
		}
		d.Shares = append(d.Shares, DivideShare{workers, ratio(float64(bytes), float64(bytesBase)), ratio(cpu, cpuBase)})
	}
	d.CoordBytes = ratio(float64(through), float64(read))
}

// targets of the report; none of a run that does not compare them.
func (d *DivideReport) targets() []Target {
	var all []Target
	for _, s := range d.Shares {
		if s.Workers == targetWorkers && d.Workers[0] == 1 {
			all = append(all,
				atMost(fmt.Sprintf("divide: bytes read by the busiest of %d workers, of one worker's", s.Workers), s.Bytes, shareMax),
				atMost(fmt.Sprintf("divide: CPU of the busiest of %d workers, of one worker's", s.Workers), s.CPU, shareMax))
		}
	}
	return append(all, atMost("divide: bytes through the coordinator, of those read", d.CoordBytes, throughMax))
}
