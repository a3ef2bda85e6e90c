package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/prometheus/client_golang/prometheus"

	"skein/internal/fault"
	"skein/meta"
	"skein/objstore/pool"
	"skein/objstore/s3"
)

const (
	// trialPrefix is where nodes try whether they may store, read and delete.
	// No table has such a name.
	trialPrefix = "metadata/health/"
	trialText   = "a node of Skein tries whether it may store, read and delete"

	roomLow   = 0.05 // free share of the drives, below which an operator should hear of it
	roomAgain = 0.07 // at which it is well again
)

// endpointRoom is what a node knows of one endpoint beside that it answers.
type endpointRoom struct {
	set, name string // of the set: primary, backup
	store     *s3.Store
	room      s3.Capacity // zero where the server does not tell
	silent    string      // why it does not tell; empty if it does
	refusal   string      // why it does not store, read or delete; empty if it does
	low       bool
}

// rooms watches the capacity of the object stores, and whether this node may
// use them.
type rooms struct {
	node  string
	alert func(kind, subject, message string)

	mu  sync.Mutex
	all []endpointRoom

	free, total, usable *prometheus.GaugeVec
}

func newRooms(node string, endpoints []endpointRoom, reg prometheus.Registerer, alert func(kind, subject, message string)) *rooms {
	gauge := func(name, help string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"endpoint"})
		reg.MustRegister(v)
		return v
	}
	return &rooms{node: node, alert: alert, all: endpoints,
		free:   gauge("skein_store_free_bytes", "Room that is left on the drives of the object store, before redundancy."),
		total:  gauge("skein_store_total_bytes", "Room on the drives of the object store, before redundancy."),
		usable: gauge("skein_store_usable", "1 if the object store let this node store, read and delete at the last check."),
	}
}

// check asks all endpoints at once.
func (r *rooms) check(ctx context.Context) {
	var asking sync.WaitGroup
	for i := range r.all {
		asking.Go(func() { r.ask(ctx, i) })
	}
	asking.Wait()
}

func (r *rooms) ask(ctx context.Context, i int) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	e := r.all[i] // only check changes it, one at a time
	was := e
	_ = e.store.Warm(ctx) // that it does not answer is told elsewhere
	tried := trial(ctx, e.store, trialPrefix+meta.EncodeID(r.node))
	c, asked := e.store.Capacity(ctx)
	if ctx.Err() != nil || isAway(tried) {
		return
	}
	e.refusal, e.silent = text(tried), text(asked)
	if asked == nil {
		e.room, e.low = c, c.Share() < roomLow || e.low && c.Share() < roomAgain
		r.free.WithLabelValues(e.name).Set(float64(c.Free))
		r.total.WithLabelValues(e.name).Set(float64(c.Total))
	}
	usable := 1.0
	if tried != nil {
		usable = 0
	}
	r.usable.WithLabelValues(e.name).Set(usable)
	r.mu.Lock()
	r.all[i] = e
	r.mu.Unlock()
	switch {
	case e.refusal != "" && was.refusal == "":
		r.alert("store-refuses", e.name, e.refusal)
	case e.refusal == "" && was.refusal != "":
		r.alert("store-accepts", e.name, "this node may store, read and delete again")
	}
	switch {
	case e.low && !was.low:
		r.alert("capacity-low", e.name, e.freeText())
	case !e.low && was.low:
		r.alert("capacity-ok", e.name, e.freeText())
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func isAway(err error) bool {
	code := fault.CodeOf(err)
	return err != nil && (code == fault.Unavailable || code == fault.DeadlineExceeded || code == fault.Canceled)
}

// trial stores, reads and deletes a small object.
func trial(ctx context.Context, s *s3.Store, key string) error {
	if err := s.Put(ctx, key, strings.NewReader(trialText), int64(len(trialText))); err != nil {
		return err
	}
	body, err := s.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(body)
	_ = body.Close()
	if err == nil && !bytes.Equal(got, []byte(trialText)) {
		err = fault.Newf(fault.FailedPrecondition, "object store %s returns other bytes than were stored", s.Endpoint())
	}
	if err != nil {
		return err
	}
	return s.Delete(ctx, key)
}

// freeText is such as "35 GB of 98 GB are free"; empty if that is not known.
func (e *endpointRoom) freeText() string {
	if e.room.Total == 0 {
		return ""
	}
	return fmt.Sprintf("%s of %s are free", humanize.Bytes(uint64(max(e.room.Free, 0))), humanize.Bytes(uint64(e.room.Total)))
}

// now is what the last check saw of a set: one endpoint that tells its
// capacity stands for all, because they show the same objects.
func (r *rooms) now(set string) (free string, refusals []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.all {
		e := &r.all[i]
		if e.set != set {
			continue
		}
		if free == "" {
			free = e.freeText()
		}
		if e.refusal != "" {
			refusals = append(refusals, e.refusal)
		}
	}
	return free, refusals
}

// describe adds what the last check saw to the fields of pool:minio:status.
func (r *rooms) describe(fields map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.all {
		e := &r.all[i]
		if e.room.Total > 0 {
			fields[e.set+"_free_bytes"], fields[e.set+"_total_bytes"] = strconv.FormatInt(e.room.Free, 10), strconv.FormatInt(e.room.Total, 10)
		}
		fields[e.set+"_access"], fields[e.set+"_capacity"] = "ok", "ok"
		if e.refusal != "" {
			fields[e.set+"_access"] = e.refusal
		}
		switch {
		case e.silent != "":
			fields[e.set+"_capacity"] = "unknown: " + e.silent
		case e.low:
			fields[e.set+"_capacity"] = "low: " + e.freeText()
		}
	}
}

// alertOf makes an event of the node's own and tells the log.
func (w *healthWatch) alertOf(kind, subject, message string) {
	w.log.Warn("object store", "alert", kind, "subject", subject, "message", message)
	w.alert(pool.Alert{Kind: kind, Subject: subject, Message: message, At: time.Now().UTC()})
}
