package wal

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
)

// appendForEver is the child: many goroutines append numbers and tell on
// standard output which were acknowledged, until the process is killed.
func appendForEver(dir string) {
	l, err := Open(dir, Options{SegmentBytes: 4096})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	first := 0
	_ = l.Replay(func(uint64, []byte) error { first++; return nil })
	var mu sync.Mutex
	next := first + 1_000_000*rand.IntN(1000)
	for range 8 {
		go func() {
			for {
				mu.Lock()
				next++
				n := next
				mu.Unlock()
				if err := l.Append(context.Background(), strconv.AppendInt(nil, int64(n), 10)); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Println(n)
			}
		}()
	}
	select {}
}

func TestKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	for round := range 8 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "WAL_TEST_CHILD="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for left := 1 + rand.IntN(400); lines.Scan(); left-- {
			if left == 0 {
				_ = cmd.Process.Kill()
			}
			acknowledged[lines.Text()] = true // also what was acknowledged until the kill
		}
		_ = cmd.Wait()
		l := open(t, dir, Options{SegmentBytes: 4096})
		seen := map[string]int{}
		for _, r := range replay(t, l) {
			seen[r]++
		}
		l.Close()
		for r := range acknowledged {
			if seen[r] != 1 {
				t.Fatalf("round %d: record %s is there %d times", round, r, seen[r])
			}
		}
	}
	if len(acknowledged) < 8 {
		t.Errorf("only %d records", len(acknowledged))
	}
}
