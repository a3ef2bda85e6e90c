package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// numberedIDs is how many ids numbered records have. Each id has files of its
// own.
const numberedIDs = 200

// numbered is records n from first on, each with its number.
func numbered(table string, first, count int) []record {
	records := make([]record, count)
	for i := range records {
		k := first + i
		records[i] = record{table, fmt.Sprintf("id-%d", k%numberedIDs), time.Unix(1_700_000_000+int64(k), 0).UTC().Format(time.RFC3339), object{"n": k, "text": fmt.Sprintf("row %d", k)}}
	}
	return records
}

// sums is what a table of numbered records answers.
const sums = "SELECT count(*) AS c, count(DISTINCT id) AS d, count(DISTINCT payload.n) AS dn, sum(payload.n)::BIGINT AS s FROM "

func wantNumbered(t testing.TB, n *node, table string, count int) {
	t.Helper()
	want := fmt.Sprint(count, min(count, numberedIDs), count, count*(count-1)/2)
	if got := n.row(t, sums+table, "c", "d", "dn", "s"); got != want {
		t.Errorf("table %s on %s has count, distinct ids, distinct n, sum: %s; want %s", table, n.ID, got, want)
	}
}

// TestKilledNodeKeepsUnflushedRows kills the only node with 10,000
// acknowledged rows that are in no file, twice.
func TestKilledNodeKeepsUnflushedRows(t *testing.T) {
	t.Parallel()
	const count = 10_000
	n := startNode(t, "keeps")
	n.createTable(t, "events", neverRows, neverSeconds)
	for first := 0; first < count; first += 1000 {
		n.write(t, numbered("events", first, 1000))
	}
	for range 2 {
		if rows, files := n.stats(t, "events"); rows != count || files != 0 {
			t.Fatalf("%d rows, %d files; want all %d rows unflushed", rows, files, count)
		}
		n.Kill()
		n.Start()
		wantNumbered(t, n, "events", count)
	}
	n.Stop() // flushes
	n.Start()
	wantNumbered(t, n, "events", count)
	if rows, files := n.stats(t, "events"); rows != count || files == 0 {
		t.Errorf("after a clean stop: %d rows, %d files", rows, files)
	}
}

// TestKilledInTheMiddle kills the node while clients write, again and again:
// with rows only in the log, and with flushes all the time.
func TestKilledInTheMiddle(t *testing.T) {
	for _, c := range []struct {
		name                    string
		bufferSize, flushSecond int
	}{
		{"of writes", neverRows, neverSeconds},
		{"of flushes", 150, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			killInTheMiddle(t, c.bufferSize, c.flushSecond)
		})
	}
}

const (
	killRounds  = 4
	killWriters = 3
	killBatch   = 20
	killIDs     = 4 // a flush makes a file for each
)

func killInTheMiddle(t *testing.T, bufferSize, flushSeconds int) {
	n := startNode(t, "middle")
	n.createTable(t, "events", bufferSize, flushSeconds)
	w := &writers{acknowledged: map[int]bool{}}
	for range killRounds {
		stop := w.start(n)
		waitFor(t, 20*time.Second, "rows are written", func() (bool, string) {
			return w.count() > 0, "none"
		})
		time.Sleep(300*time.Millisecond + rand.N(700*time.Millisecond)) // any instant will do
		n.Kill()
		stop()
		n.Start()
		w.check(t, n)
	}
	t.Logf("%d rows acknowledged over %d kills", len(w.acknowledged), killRounds)
	n.Stop()
	n.Start()
	w.check(t, n)
}

// writers write batches of numbered records until their node is killed.
type writers struct {
	next         atomic.Int64
	mu           sync.Mutex
	acknowledged map[int]bool // by number
	round        int          // acknowledged since start
}

func (w *writers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.round
}

// start begins to write. stop waits until the writers have ended, which they
// do at the first request that fails.
func (w *writers) start(n *node) (stop func()) {
	w.round = 0
	var wait sync.WaitGroup
	for range killWriters {
		wait.Go(func() {
			for w.batch(n) {
			}
		})
	}
	return wait.Wait
}

func (w *writers) batch(n *node) bool {
	first := int(w.next.Add(killBatch)) - killBatch
	records := numbered("events", first, killBatch)
	for i := range records {
		records[i].ID = fmt.Sprint("id-", i%killIDs)
	}
	body := lines(n.t, records)
	a, err := n.try(http.MethodPost, "/v1/data", "application/x-ndjson", body)
	if err != nil || a.Status != http.StatusOK {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for k := range killBatch {
		w.acknowledged[first+k] = true
	}
	w.round += killBatch
	return true
}

// check wants every acknowledged row once, and no row twice.
func (w *writers) check(t testing.TB, n *node) {
	t.Helper()
	if twice := n.query(t, "SELECT n, count(*) AS c FROM events GROUP BY n HAVING count(*) > 1 ORDER BY n LIMIT 5"); len(twice) > 0 {
		t.Errorf("rows are there twice, such as %v", twice)
	}
	found := map[int]bool{}
	for _, row := range n.query(t, "SELECT n FROM events") {
		found[int(number(t, row["n"]))] = true
	}
	lost := 0
	for k := range w.acknowledged {
		if !found[k] {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged rows are lost; %d are there", lost, len(w.acknowledged), len(found))
	}
	if rows, _ := n.stats(t, "events"); rows != int64(len(found)) {
		t.Errorf("the statistics count %d rows, the table has %d", rows, len(found))
	}
}
