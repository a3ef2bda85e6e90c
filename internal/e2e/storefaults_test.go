package e2e

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"skein/internal/launch"
	"skein/internal/realtest"
)

// traffic writes and reads without end, whatever is answered.
type traffic struct {
	t     testing.TB
	table string
	nodes []*node

	mu                      sync.Mutex
	sent                    int
	acked                   []int // numbers of rows
	writeErrors, readErrors int
	lastRead                time.Time
	readGap                 time.Duration // longest time between two reads that succeeded
	lastWrite               time.Time
	writeGap                time.Duration
	since                   string // what the gaps are counted from
	pad                     int    // bytes of text in a row
	hold                    bool   // no writes

	stop chan struct{}
	busy sync.WaitGroup
}

const (
	trafficWriters = 2
	trafficBatch   = 5
)

// startTraffic writes to the table, which is made, and reads it, on all nodes
// in turns.
func startTraffic(t testing.TB, table string, nodes ...*node) *traffic {
	t.Helper()
	w := &traffic{t: t, table: table, nodes: nodes, stop: make(chan struct{}), lastRead: time.Now(), lastWrite: time.Now(), since: "start"}
	for i := range trafficWriters {
		w.busy.Go(func() { w.write(i) })
	}
	w.busy.Go(w.read)
	t.Cleanup(w.end)
	return w
}

func (w *traffic) stopped() bool {
	select {
	case <-w.stop:
		return true
	case <-time.After(20 * time.Millisecond):
		return false
	}
}

func (w *traffic) end() {
	w.mu.Lock()
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	w.mu.Unlock()
	w.busy.Wait()
}

func (w *traffic) write(i int) {
	for round := i; !w.stopped(); round++ {
		w.mu.Lock()
		first, pad, hold := w.sent, w.pad, w.hold
		if !hold {
			w.sent += trafficBatch
		}
		w.mu.Unlock()
		if hold {
			continue
		}
		records := numbered(w.table, first, trafficBatch)
		for k := range records {
			if pad > 0 {
				records[k].Payload["text"] = rand.Text() + strings.Repeat(rand.Text(), pad/26)
			}
			records[k].ID = fmt.Sprint("id-", (first+k)%killIDs) // a flush makes a file for each
		}
		a, err := w.nodes[round%len(w.nodes)].try(http.MethodPost, "/v1/data", "application/x-ndjson", lines(w.t, records))
		w.mu.Lock()
		if err == nil && a.Status == http.StatusOK {
			for k := range trafficBatch {
				w.acked = append(w.acked, first+k)
			}
			w.writeGap, w.lastWrite = max(w.writeGap, time.Since(w.lastWrite)), time.Now()
		} else {
			w.writeErrors++
		}
		w.mu.Unlock()
	}
}

func (w *traffic) read() {
	for round := 0; !w.stopped(); round++ {
		_, a, err := w.nodes[round%len(w.nodes)].tryQuery("SELECT sum(payload.n) AS s, count(*) AS c FROM " + w.table)
		w.mu.Lock()
		if err == nil && a.Status == http.StatusOK {
			w.readGap, w.lastRead = max(w.readGap, time.Since(w.lastRead)), time.Now()
		} else {
			w.readErrors++
		}
		w.mu.Unlock()
	}
}

// mark counts the times without reads and writes from now: from the failure,
// or from its end.
func (w *traffic) mark(since string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since, w.readGap, w.writeGap = since, 0, 0
	w.lastRead = time.Now()
	w.lastWrite = w.lastRead
}

// set changes how it writes.
func (w *traffic) set(pad int, hold bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pad, w.hold = pad, hold
}

func (w *traffic) ackedNow() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

// moves waits until further rows are acknowledged and read.
func (w *traffic) moves(wait time.Duration) {
	w.t.Helper()
	begin, from := time.Now(), w.ackedNow()
	waitFor(w.t, wait, "writes and reads go on", func() (bool, string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.acked) > from+10*trafficBatch && w.lastRead.After(begin), fmt.Sprint(len(w.acked), " ", w.writeErrors, " ", w.readErrors)
	})
}

// check ends the traffic and wants every acknowledged row once on every node,
// and no row that was not sent.
func (w *traffic) check(what string) {
	w.t.Helper()
	w.end()
	for i, n := range w.nodes {
		seen := make(map[string]int, w.sent)
		for _, row := range n.query(w.t, "SELECT payload.n AS n FROM "+w.table) {
			seen[fmt.Sprint(row["n"])]++
		}
		lost, twice := 0, 0
		for _, k := range w.acked {
			if seen[fmt.Sprint(k)] == 0 {
				lost++
			}
		}
		for _, times := range seen {
			if times > 1 {
				twice++
			}
		}
		if lost+twice > 0 || len(seen) > w.sent {
			w.t.Errorf("%s on %s: %d rows lost, %d doubled, %d of %d sent", what, n.ID, lost, twice, len(seen), w.sent)
		}
		if i == 0 {
			report(w.t, what, len(w.acked), len(w.acked)-lost, len(seen)-len(w.acked)+lost, fmt.Sprintf("%d of writes, %d of reads", w.writeErrors, w.readErrors),
				fmt.Sprintf("reads %.1f s, writes %.1f s after the %s", w.readGap.Seconds(), w.writeGap.Seconds(), w.since))
		}
	}
}

// report prints a row of the table of faults: go test -v | grep '| '.
func report(t testing.TB, fault string, acknowledged, read, others int, errors, recovered string) {
	t.Helper()
	t.Logf("| %s | %d | %d, and %d that were not acknowledged | %s | %s |", fault, acknowledged, read, others, errors, recovered)
}

func (p *pair) createFlushing(name string) {
	p.t.Helper()
	p.Nodes[0].post(p.t, "/v1/tables", object{"table_name": name, "config": object{
		"buffer_size": 40, "flush_interval_seconds": 1, "backup_enabled": true}}).want(p.t, http.StatusOK)
}

// waitMode waits until the nodes have agreed on a mode.
func (p *pair) waitMode(mode string, wait time.Duration) {
	p.t.Helper()
	waitFor(p.t, wait, "mode "+mode, func() (bool, string) {
		text, err := p.Redis.HGet(p.t.Context(), "pool:minio:switch", "value").Result()
		return strings.Contains(text, `"mode":"`+mode+`"`) || mode == "primary" && errors.Is(err, redis.Nil), fmt.Sprint(text, err)
	})
}

// waitSame waits until both stores hold the same files.
func (p *pair) waitSame() {
	p.t.Helper()
	waitFor(p.t, 90*time.Second, "both stores hold the same files", func() (bool, string) {
		a, b := objects(p.t, p.main, mainBucket), objects(p.t, p.another, spareBucket)
		return fmt.Sprint(a) == fmt.Sprint(b), fmt.Sprint(len(a), " and ", len(b))
	})
}

// TestPrimaryStoreKilledUnderTraffic kills the primary store while clients
// write, read and nodes flush, and starts it again.
func TestPrimaryStoreKilledUnderTraffic(t *testing.T) {
	t.Parallel()
	p := startPair(t, 2)
	p.createFlushing("events")
	w := startTraffic(t, "events", p.Nodes...)
	w.moves(10 * time.Second)
	p.waitBackedUp()
	w.mark("kill")
	p.Main.Kill()
	p.waitMode("backup", 20*time.Second)
	w.moves(20 * time.Second)
	health := p.Nodes[0].get(t, "/v1/health").want(t, 200)
	wantSame(t, health["overall_status"], "degraded")
	p.Main.Start()
	p.waitMode("primary", 60*time.Second)
	w.moves(20 * time.Second)
	w.check("MinIO primary killed during writes, reads and flushes")
	w.readsWithin(5 * time.Second)
	p.waitSame()
}

// TestRedisPaused freezes Redis for 20 seconds.
func TestRedisPaused(t *testing.T) {
	t.Parallel()
	p := startPair(t, 2)
	p.createFlushing("events")
	w := startTraffic(t, "events", p.Nodes...)
	w.moves(10 * time.Second)
	p.Catalog.Pause()
	time.Sleep(20 * time.Second)
	p.Catalog.Resume()
	w.mark("resumption")
	w.moves(20 * time.Second)
	w.check("Redis paused 20 s")
	p.waitSame()
}

// TestBothStoresKilled goes on writing without any object store until the log
// is full, and wants a clear refusal, and every row when the stores are back.
func TestBothStoresKilled(t *testing.T) {
	t.Parallel()
	p := startPair(t, 1)
	n := p.Nodes[0]
	p.createFlushing("events")
	n.write(t, numbered("events", 0, 10))
	p.waitBackedUp()
	p.Main.Kill()
	p.Spare.Kill()
	const bytes, most = 1 << 20, 400
	text := strings.Repeat("0123456789abcdef", bytes/16)
	acked := 10
	var refused reply
	for refused.Status == 0 {
		if acked > most {
			t.Fatalf("%d rows of %d bytes are acknowledged without any store", acked, bytes)
		}
		r := record{"events", fmt.Sprint("id-", acked%7), "2024-01-15T10:00:00Z", object{"n": acked, "text": text}}
		a, err := n.try(http.MethodPost, "/v1/data", "application/json", encode(t, r))
		if err != nil {
			t.Fatal(err)
		}
		if a.Status == http.StatusOK {
			acked++
		} else {
			refused = a
		}
	}
	refused.wantError(t, http.StatusTooManyRequests, "RESOURCE_EXHAUSTED", "full")
	if refused.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	t.Logf("%d rows of 1 MiB acknowledged without a store, then: %s", acked, refused.Body)
	if acked < 100 {
		t.Errorf("only %d rows", acked)
	}
	p.Main.Start()
	p.Spare.Start()
	started := time.Now()
	waitFor(t, 60*time.Second, "writes are taken again", func() (bool, string) {
		a, err := n.try(http.MethodPost, "/v1/data", "application/x-ndjson", lines(t, numbered("events", acked, 1)))
		return err == nil && a.Status == http.StatusOK, fmt.Sprint(a.Status, err)
	})
	acked++
	took := time.Since(started)
	const row = "SELECT count(*) AS c, count(DISTINCT payload.n) AS d, sum(payload.n)::BIGINT AS s FROM events"
	wantSame(t, n.row(t, row, "c", "d", "s"), fmt.Sprint(acked, acked, acked*(acked-1)/2))
	report(t, "MinIO primary and backup killed until the log is full", acked, acked, 0, "1 of writes: RESOURCE_EXHAUSTED", fmt.Sprintf("writes %.1f s after the restart", took.Seconds()))
	p.waitMode("primary", 60*time.Second)
	waitFor(t, 60*time.Second, "all rows are in files", func() (bool, string) {
		open := p.openUnits("events")
		return len(open) == 0, fmt.Sprint(open)
	})
	wantSame(t, n.row(t, row, "c", "d", "s"), fmt.Sprint(acked, acked, acked*(acked-1)/2))
	p.waitSame()
}

// TestPrimaryStoreFull fills the disk of the primary store. It needs root, to
// mount a small one.
func TestPrimaryStoreFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=200m"); err != nil {
		t.Fatalf("this test mounts a small disk and so needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	m, err := launch.MinIO(t.Context(), os.Getenv("SKEIN_TEST_MINIO"), "name it in SKEIN_TEST_MINIO", "127.0.0.1", dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Kill)
	p := pairOf(t, &realtest.MinIOServer{Server: &realtest.Server{Addr: m.Addr}, Endpoint: m.Endpoint, AccessKey: m.AccessKey, SecretKey: m.SecretKey}, 2, "--health-interval", "1s")
	p.createFlushing("events")
	w := startTraffic(t, "events", p.Nodes...)
	w.moves(10 * time.Second)
	junk := filepath.Join(dir, "junk")
	fill(t, junk)
	w.mark("disk was full")
	before := len(objects(t, p.main, mainBucket))
	w.moves(20 * time.Second)
	waitFor(t, 20*time.Second, "the nodes see that there is no room", func() (bool, string) {
		status := p.Redis.HGetAll(t.Context(), "pool:minio:status").Val()
		return strings.HasPrefix(status["primary_capacity"], "low"), fmt.Sprint(status)
	})
	waitFor(t, 20*time.Second, "a node tells of the full disk", func() (bool, string) {
		log, err := os.ReadFile(p.Nodes[0].logPath)
		return strings.Contains(string(log), `"alert":"capacity-low"`), fmt.Sprint(len(log), err)
	})
	waitFor(t, 30*time.Second, "files are stored in the backup", func() (bool, string) {
		keys := slices.Collect(keysOf(objects(t, p.another, spareBucket)))
		return len(keys) > before+10, fmt.Sprint(len(keys), " ", before)
	})
	w.moves(20 * time.Second)
	if err := os.Remove(junk); err != nil {
		t.Fatal(err)
	}
	w.moves(20 * time.Second)
	w.check("MinIO primary's disk full")
	waitFor(t, 60*time.Second, "all files are back", func() (bool, string) {
		n, err := p.Redis.HLen(t.Context(), "{queue:return}:items").Result()
		return err == nil && n == 0, fmt.Sprint(n, err)
	})
	p.waitSame()
}

// fill writes until the disk is full.
func fill(t testing.TB, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(block)
	}
}
