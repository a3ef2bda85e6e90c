package s3

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"skein/internal/fault"
	"skein/objstore/internal/metric"
)

// metrics are shared by all stores of a registerer.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	bytes    *prometheus.CounterVec
}

// newMetrics may return nil, which counts nothing.
func newMetrics(registerer prometheus.Registerer) *metrics {
	if registerer == nil {
		return nil
	}
	return &metrics{
		requests: metric.Register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_objstore_requests_total", Help: "Requests to the object store by operation and result.",
		}, []string{"op", "code"})),
		seconds: metric.Register(registerer, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skein_objstore_request_seconds", Help: "Time of object store requests; of get until the first byte.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"op"})),
		bytes: metric.Register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_objstore_bytes_total", Help: "Bytes of objects sent to and received from the object store.",
		}, []string{"direction"})),
	}
}

func (m *metrics) observe(op string, start time.Time, err *error) {
	if m == nil {
		return
	}
	code := "OK"
	if *err != nil {
		code = fault.CodeOf(*err).String()
	}
	m.requests.WithLabelValues(op, code).Inc()
	m.seconds.WithLabelValues(op).Observe(time.Since(start).Seconds())
}

func (m *metrics) received(n int) {
	if m != nil {
		m.bytes.WithLabelValues("received").Add(float64(n))
	}
}

func (m *metrics) sent(n int64) {
	if m != nil {
		m.bytes.WithLabelValues("sent").Add(float64(n))
	}
}
