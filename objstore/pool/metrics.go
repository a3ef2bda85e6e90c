package pool

import (
	"github.com/prometheus/client_golang/prometheus"

	"skein/internal/fault"
	"skein/objstore/internal/metric"
)

// metrics are shared by all pools of a registerer.
type metrics struct {
	requests *prometheus.CounterVec
	up       *prometheus.GaugeVec
	latency  *prometheus.GaugeVec
	hedges   *prometheus.CounterVec
	modes    *prometheus.GaugeVec
	alerts   *prometheus.CounterVec
	pending  prometheus.Gauge
}

// newMetrics may return nil, which counts nothing.
func newMetrics(registerer prometheus.Registerer) *metrics {
	if registerer == nil {
		return nil
	}
	return &metrics{
		requests: metric.Register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_pool_requests_total", Help: "Tries at endpoints of the object store pool by result.",
		}, []string{"endpoint", "op", "code"})),
		up: metric.Register(registerer, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skein_pool_endpoint_up", Help: "1 if the endpoint is used, 0 if its probes fail or its circuit is open.",
		}, []string{"endpoint", "set"})),
		latency: metric.Register(registerer, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skein_pool_endpoint_latency_seconds", Help: "Moving mean of the endpoint's time to the first byte.",
		}, []string{"endpoint", "set"})),
		hedges: metric.Register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_pool_hedges_total", Help: "Second requests for reads that were slow.",
		}, []string{"op"})),
		modes: metric.Register(registerer, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skein_pool_mode", Help: "1 for the mode that the nodes have agreed on.",
		}, []string{"mode"})),
		alerts: metric.Register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_pool_alerts_total", Help: "Events that an operator should hear of.",
		}, []string{"kind"})),
		pending: metric.Register(registerer, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "skein_pool_return_pending", Help: "Objects that must return to the primary set.",
		})),
	}
}

func (m *metrics) request(e *endpoint, op string, err error) {
	if m == nil {
		return
	}
	code := "OK"
	if err != nil {
		code = fault.CodeOf(err).String()
	}
	m.requests.WithLabelValues(e.name, op, code).Inc()
}

func (m *metrics) endpoint(e *endpoint) {
	if m == nil {
		return
	}
	up := 0.0
	if e.healthy() {
		up = 1
	}
	m.up.WithLabelValues(e.name, e.set).Set(up)
	m.latency.WithLabelValues(e.name, e.set).Set(e.mean())
}

func (m *metrics) hedged(op string) {
	if m != nil {
		m.hedges.WithLabelValues(op).Inc()
	}
}

func (m *metrics) mode(current Mode) {
	if m == nil {
		return
	}
	for _, mode := range []Mode{Primary, Backup, Returning} {
		value := 0.0
		if mode == current {
			value = 1
		}
		m.modes.WithLabelValues(string(mode)).Set(value)
	}
}

func (m *metrics) alert(kind string) {
	if m != nil {
		m.alerts.WithLabelValues(kind).Inc()
	}
}

func (m *metrics) waiting(n int64) {
	if m != nil {
		m.pending.Set(float64(n))
	}
}
