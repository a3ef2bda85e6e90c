package node

import (
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/prometheus/client_golang/prometheus"
)

// Kinds of rows that come from peers.
const (
	kindResult   = "result"   // of a query's last stage, on their way to the client
	kindExchange = "exchange" // of an earlier stage, for one of this node's fragments
)

// newReceived counts the bytes of rows that peers send; nil without a
// registerer.
func newReceived(r prometheus.Registerer) *prometheus.CounterVec {
	if r == nil {
		return nil
	}
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "skein_node_received_bytes_total", Help: "Bytes of rows received from other nodes: results on their way to a client, and exchanged rows of earlier stages.",
	}, []string{"kind"})
	r.MustRegister(c)
	c.WithLabelValues(kindResult) // shown from the start
	c.WithLabelValues(kindExchange)
	return c
}

// counting counts what a stream brings.
type counting struct {
	arrowflight.DataStreamReader
	bytes prometheus.Counter
}

// Recv implements arrowflight.DataStreamReader.
func (c counting) Recv() (*arrowflight.FlightData, error) {
	d, err := c.DataStreamReader.Recv()
	c.bytes.Add(float64(len(d.GetDataHeader()) + len(d.GetDataBody())))
	return d, err
}

// counted is the stream with its bytes counted.
func (p *Pool) counted(s arrowflight.DataStreamReader, kind string) arrowflight.DataStreamReader {
	if p.got == nil {
		return s
	}
	return counting{s, p.got.WithLabelValues(kind)}
}
