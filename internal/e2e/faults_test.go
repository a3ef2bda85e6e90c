package e2e

import (
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"skein/internal/realtest"
)

// readsWithin wants the longest time without a read since the mark to be
// short. The bound is generous: machines that run tests may be slow.
func (w *traffic) readsWithin(d time.Duration) {
	w.t.Helper()
	if w.readGap > d {
		w.t.Errorf("no read succeeded for %s after the %s", w.readGap, w.since)
	}
}

// TestPrimaryStoreSpoilt lets the primary store answer badly while clients
// write and read and nodes flush.
func TestPrimaryStoreSpoilt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		spoil   func(p *pair, x *realtest.Proxy)
		heal    func(x *realtest.Proxy)
		backup  bool // the nodes agree on the backup store
		quietly bool // all is in the backup store when it happens
	}{
		{"MinIO primary slow, 50 KB/s", func(_ *pair, x *realtest.Proxy) { x.Speed.Store(50 << 10) }, func(x *realtest.Proxy) { x.Speed.Store(0) }, false, false},
		{"MinIO primary answers 503", func(_ *pair, x *realtest.Proxy) { x.Refuse.Store(true) }, func(x *realtest.Proxy) { x.Refuse.Store(false) }, true, false},
		{"MinIO primary refuses the credentials", func(_ *pair, x *realtest.Proxy) { x.Forge.Store(true) }, func(x *realtest.Proxy) { x.Forge.Store(false) }, true, false},
		{"MinIO primary's bucket deleted", func(p *pair, _ *realtest.Proxy) {
			if err := p.main.RemoveBucketWithOptions(p.t.Context(), mainBucket, minio.RemoveBucketOptions{ForceDelete: true}); err != nil {
				p.t.Fatal(err)
			}
		}, func(*realtest.Proxy) {}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := realtest.StartMinIO(t)
			x := realtest.StartProxy(t, m.Endpoint)
			p := pairOf(t, &realtest.MinIOServer{Server: m.Server, Endpoint: x.URL, AccessKey: m.AccessKey, SecretKey: m.SecretKey}, 2)
			p.createFlushing("events")
			w := startTraffic(t, "events", p.Nodes...)
			w.set(2000, false)
			w.moves(20 * time.Second)
			p.waitBackedUp()
			if c.quietly {
				w.set(2000, true)
				p.waitFlushed("events")
				p.waitBackedUp()
			}
			c.spoil(p, x)
			w.mark("failure")
			w.set(2000, false)
			if c.backup {
				p.waitMode("backup", 30*time.Second)
			}
			w.moves(30 * time.Second)
			c.heal(x)
			p.waitMode("primary", 60*time.Second)
			w.moves(20 * time.Second)
			w.check(c.name)
			w.readsWithin(6 * time.Second)
			p.waitSame()
		})
	}
}

// TestBackupStoreKilled kills the backup store under traffic: nobody notices,
// and what it misses follows.
func TestBackupStoreKilled(t *testing.T) {
	t.Parallel()
	p := startPair(t, 2)
	p.createFlushing("events")
	w := startTraffic(t, "events", p.Nodes...)
	w.moves(20 * time.Second)
	w.mark("kill")
	p.Spare.Kill()
	w.moves(20 * time.Second)
	p.Spare.Start()
	w.moves(20 * time.Second)
	w.check("MinIO backup killed")
	w.readsWithin(5 * time.Second)
	if w.writeErrors+w.readErrors > 0 {
		t.Errorf("%d errors of writes, %d of reads", w.writeErrors, w.readErrors)
	}
	p.waitSame()
}

// TestRedisKilled kills Redis, which keeps what it acknowledged, and starts it
// again.
func TestRedisKilled(t *testing.T) {
	t.Parallel()
	p := startPair(t, 2)
	p.createFlushing("events")
	w := startTraffic(t, "events", p.Nodes...)
	w.moves(20 * time.Second)
	p.Catalog.Kill()
	time.Sleep(3 * time.Second)
	p.Catalog.Start()
	w.mark("restart")
	w.moves(30 * time.Second)
	w.check("Redis killed and restarted, standalone")
	p.waitSame()
}
