package cache

import (
	"github.com/prometheus/client_golang/prometheus"

	"skein/objstore/internal/metric"
)

type metrics struct {
	hits, misses, evictions, downloaded prometheus.Counter
}

// newMetrics counts for nobody if registerer is nil. Bytes is asked when the
// metrics are read.
func newMetrics(registerer prometheus.Registerer, bytes func() float64) metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		if registerer == nil {
			return c
		}
		return metric.Register[prometheus.Counter](registerer, c)
	}
	if registerer != nil {
		metric.Register(registerer, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "skein_cache_bytes", Help: "Bytes of the files in the object cache.",
		}, bytes))
	}
	return metrics{
		hits:       counter("skein_cache_hits_total", "Acquired objects that were in the cache or on their way."),
		misses:     counter("skein_cache_misses_total", "Acquired objects that were not in the cache."),
		evictions:  counter("skein_cache_evictions_total", "Objects evicted from the cache."),
		downloaded: counter("skein_cache_downloaded_bytes_total", "Bytes of objects downloaded whole into the cache."),
	}
}

func (m metrics) acquired(hit bool) {
	if hit {
		m.hits.Inc()
	} else {
		m.misses.Inc()
	}
}
