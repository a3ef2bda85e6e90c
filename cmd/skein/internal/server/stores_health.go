package server

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"skein/objstore/pool"
)

const (
	defaultHealthEvery = 30 * time.Second
	healthTimeout      = 10 * time.Second // of one component's check
)

// healthWatch checks the stores from time to time and writes down what it
// finds: metrics, the specification's keys pool:*, and an event in the log for
// each change.
type healthWatch struct {
	stores  *stores
	node    string
	log     *slog.Logger
	alert   func(pool.Alert)
	up      *prometheus.GaugeVec
	seconds *prometheus.GaugeVec
	was     map[string]bool // by component; none before the first check
	rooms   *rooms          // nil: objects are files
}

// watchHealth starts the checks; they end before the stores are closed.
func (s *Server) watchHealth(kept *stores, node string, alert func(pool.Alert)) {
	w := &healthWatch{stores: kept, node: node, log: s.log, alert: alert, was: map[string]bool{},
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skein_component_up", Help: "1 if the component passed its last check.",
		}, []string{"component"}),
		seconds: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skein_component_check_seconds", Help: "Time of the component's last check.",
		}, []string{"component"}),
	}
	s.registry.MustRegister(w.up, w.seconds)
	if len(kept.endpoints) > 0 {
		w.rooms = newRooms(node, kept.endpoints, s.registry, w.alertOf)
		kept.rooms = w.rooms
	}
	every := s.config.HealthEvery
	if every == 0 {
		every = defaultHealthEvery
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			w.check(ctx)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	s.onStop(func(context.Context) error { cancel(); <-done; return nil })
}

func (w *healthWatch) check(ctx context.Context) {
	redis := w.component(ctx, "redis", w.stores.catalog.Ping)
	minio := w.component(ctx, "minio", w.stores.objects.Ping)
	if w.rooms != nil {
		w.rooms.check(ctx)
		w.rooms.describe(minio)
	}
	if w.stores.redis == nil || ctx.Err() != nil {
		return
	}
	redis["mode"] = w.stores.redis.Shape()
	for name, n := range w.stores.redis.Stats() {
		redis[name] = strconv.FormatUint(uint64(n), 10)
	}
	w.describePool(ctx, minio)
	redis["node"], minio["node"] = w.node, w.node // that checked last
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	err := w.stores.redis.SetStatus(ctx, map[string]map[string]string{"pool:redis:status": redis, "pool:minio:status": minio}, time.Now())
	if err == nil {
		err = w.stores.redis.Repair(ctx)
	}
	if err != nil && ctx.Err() == nil {
		w.log.Warn("state of the stores is not written down", "error", err)
	}
}

// component checks one and returns the fields that describe it.
func (w *healthWatch) component(ctx context.Context, name string, ping func(context.Context) error) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	start := time.Now()
	err := ping(ctx)
	took := time.Since(start)
	fields := map[string]string{"status": "healthy", "message": "ok", "response_time_ms": fmt.Sprintf("%.3f", took.Seconds()*1000)}
	up := 1.0
	if err != nil {
		up, fields["status"], fields["message"] = 0, "unhealthy", err.Error()
	}
	w.up.WithLabelValues(name).Set(up)
	w.seconds.WithLabelValues(name).Set(took.Seconds())
	if was, known := w.was[name]; known && was != (err == nil) || !known && err != nil {
		if err != nil {
			w.log.Error("component is down", "alert", "component-down", "subject", name, "message", err.Error())
			w.alert(pool.Alert{Kind: "component-down", Subject: name, Message: err.Error(), At: time.Now().UTC()})
		} else {
			w.log.Warn("component is up again", "alert", "component-up", "subject", name)
			w.alert(pool.Alert{Kind: "component-up", Subject: name, Message: "it passed its check", At: time.Now().UTC()})
		}
	}
	w.was[name] = err == nil
	return fields
}

// describePool adds what this node sees of the endpoints.
func (w *healthWatch) describePool(ctx context.Context, fields map[string]string) {
	if w.stores.pool == nil {
		fields["active"] = "primary"
		return
	}
	s := w.stores.pool.Status(ctx)
	fields["active"], fields["epoch"], fields["reason"] = string(s.State.Mode), strconv.FormatInt(s.State.Epoch, 10), s.State.Reason
	fields["pending"], fields["parked"] = strconv.FormatInt(s.Pending, 10), strconv.FormatInt(s.Parked, 10)
	healthy := map[string]int{}
	total := map[string]int{}
	for _, e := range s.Endpoints {
		total[e.Set]++
		if e.Healthy {
			healthy[e.Set]++
		} else if fields["status"] == "healthy" {
			fields["status"] = "degraded"
		}
	}
	for set, n := range total {
		fields[set+"_endpoints"], fields[set+"_healthy"] = strconv.Itoa(n), strconv.Itoa(healthy[set])
	}
	if w.stores.backups != nil {
		if waiting, parked, err := w.stores.backups.queue.Len(ctx); err == nil {
			fields["backup_queue"], fields["backup_parked"] = strconv.FormatInt(waiting, 10), strconv.FormatInt(parked, 10)
		}
	}
}
