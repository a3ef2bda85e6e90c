package worker

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"skein/meta"
	"skein/objstore"
	"skein/objstore/objstoretest"
	nodev1 "skein/proto/node/v1"
)

// die ends the process as kill -9 does.
func die() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} }

// writeUntilKilled is the child process: it appends numbered rows from many
// goroutines while flushes run, and prints the numbers acknowledged. where
// says at which call it dies by itself, such as "put 3" or "after commit 2".
func writeUntilKilled(dir, where string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	op, n, _ := strings.Cut(where, " ")
	dieAt, _ := strconv.Atoi(n)
	var calls atomic.Int32
	hit := func(name string) error {
		if name == op && int(calls.Add(1)) == dieAt {
			die()
		}
		return nil
	}
	h, err := openHouse(dir, Options{SegmentBytes: 4096, UnitBytesMax: 1 << 20, forgetAfter: 1}, func(s objstore.Store) objstore.Store {
		return objstoretest.Faulty(s, objstoretest.Rule{Op: objstoretest.OpPut, Do: func(context.Context) error { return hit("put") }})
	})
	if err != nil {
		fail(err)
	}
	h.meta.before = hit
	h.meta.after = func(name string) error { return hit("after-" + name) }
	h.w.Start(context.Background())
	base := rand.IntN(1<<40) * 1000
	var next atomic.Int64
	for g := range 6 {
		go func() {
			for {
				var records []*nodev1.Record
				for range 1 + rand.IntN(5) {
					i := base + int(next.Add(1))
					records = append(records, record(fmt.Sprintf("id %d", i%2), at(i%1000), fmt.Sprintf(`{"n": %d, "p%d_%d": %d}`, i, os.Getpid(), i%7, g)))
				}
				if err := h.w.Append(context.Background(), &nodev1.AppendRequest{Table: "t", TableUid: "t-uid", Records: records}); err != nil {
					fail(err)
				}
				var out strings.Builder
				for _, r := range records {
					fmt.Fprintln(&out, strings.TrimPrefix(strings.Split(string(r.Payload), ",")[0], `{"n": `))
				}
				os.Stdout.WriteString(out.String())
			}
		}()
	}
	select {}
}

// runChild starts a child, kills it after that many acknowledged rows (never
// if negative: it dies by itself), and returns all acknowledged numbers.
func runChild(t *testing.T, dir, where string, rows int) (acknowledged []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "WORKER_TEST_CHILD="+dir, "WORKER_TEST_DIE="+where)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() { _ = cmd.Process.Kill() })
	defer kill()
	tooLong := time.AfterFunc(20*time.Second, func() {
		t.Errorf("the child does not reach %q", where)
		kill()
	})
	defer tooLong.Stop()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		acknowledged = append(acknowledged, lines.Text())
		if rows >= 0 && len(acknowledged) >= rows {
			kill()
		}
	}
	_ = cmd.Wait()
	if stderr.Len() > 0 {
		t.Fatal(stderr.String())
	}
	return acknowledged
}

// checkAll tells whether every acknowledged row is there once, and no row
// twice.
func checkAll(t *testing.T, h *house, acknowledged []string) {
	t.Helper()
	seen := map[string]int{}
	for _, r := range h.rows(t, "t", "SELECT n FROM rows") {
		seen[r[0]]++
		if seen[r[0]] > 1 {
			t.Fatalf("row %s is there twice", r[0])
		}
	}
	for _, n := range acknowledged {
		if seen[n] != 1 {
			t.Fatalf("acknowledged row %s is not there", n)
		}
	}
}

func TestKill(t *testing.T) {
	dir := t.TempDir()
	h := newHouse(t, dir, Options{}, nil)
	c := meta.Config{BufferSize: 100, FlushIntervalSeconds: 1}
	h.create(t, "t", c)
	if err := h.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	points := []string{
		"open 2", "after-open 1", "after-open 4", "put 1", "put 4", "put 20", "commit 1", "commit 3",
		"after-commit 1", "after-commit 2", "after-commit 5", "forget 1", "after-forget 2", "update 2", "after-update 2", "", "", "", "",
	}
	var all []string
	for _, where := range points {
		rows := -1
		if where == "" {
			rows = 1 + rand.IntN(600)
		}
		all = append(all, runChild(t, dir, where, rows)...)
		h := newHouse(t, dir, Options{}, nil)
		checkAll(t, h, all) // from the log
		h.flush(t)
		checkAll(t, h, all) // from files
		if err := h.close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 100 {
		t.Errorf("only %d rows", len(all))
	}
}
