package transfer

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"skein/internal/fault"
	"skein/objstore/internal/metric"
)

// metrics are shared by all movers of a registerer.
type metrics struct {
	tasks   *prometheus.CounterVec
	bytes   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	records *prometheus.GaugeVec
}

// newMetrics may return nil, which counts nothing.
func newMetrics(registerer prometheus.Registerer) *metrics {
	if registerer == nil {
		return nil
	}
	return &metrics{
		tasks: metric.Register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_transfer_tasks_total", Help: "Tries of copies and deletions by queue and result.",
		}, []string{"queue", "op", "code"})),
		bytes: metric.Register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_transfer_bytes_total", Help: "Bytes of objects copied.",
		}, []string{"queue"})),
		seconds: metric.Register(registerer, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skein_transfer_task_seconds", Help: "Time of one try.", Buckets: prometheus.ExponentialBuckets(0.005, 4, 8),
		}, []string{"queue", "op"})),
		records: metric.Register(registerer, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skein_transfer_queue_records", Help: "Records of the queue that wait and that are parked.",
		}, []string{"queue", "state"})),
	}
}

func (m *metrics) observe(queue, op string, bytes int64, start time.Time, err error) {
	if m == nil {
		return
	}
	code := "OK"
	if err != nil {
		code = fault.CodeOf(err).String()
	}
	m.tasks.WithLabelValues(queue, op, code).Inc()
	m.bytes.WithLabelValues(queue).Add(float64(bytes))
	m.seconds.WithLabelValues(queue, op).Observe(time.Since(start).Seconds())
}

func (m *metrics) length(queue string, waiting, parked int64) {
	if m == nil {
		return
	}
	m.records.WithLabelValues(queue, "waiting").Set(float64(waiting))
	m.records.WithLabelValues(queue, "parked").Set(float64(parked))
}
