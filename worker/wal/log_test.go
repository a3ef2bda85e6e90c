package wal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"skein/internal/fault"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("WAL_TEST_CHILD"); dir != "" {
		appendForEver(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

func open(t *testing.T, dir string, o Options) *Log {
	t.Helper()
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func appendAll(t *testing.T, l *Log, records ...string) {
	t.Helper()
	for _, r := range records {
		if err := l.Append(t.Context(), []byte(r)); err != nil {
			t.Fatal(err)
		}
	}
}

func replay(t *testing.T, l *Log) (records []string) {
	t.Helper()
	if err := l.Replay(func(_ uint64, r []byte) error { records = append(records, string(r)); return nil }); err != nil {
		t.Fatal(err)
	}
	return records
}

func segmentFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestRecordsComeBackInOrderOverSegments(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{SegmentBytes: 200})
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprintf("record %d", i))
	}
	want = append(want, "", strings.Repeat("x", 100_000))
	appendAll(t, l, want...)
	if n := len(segmentFiles(t, dir)); n < 10 {
		t.Errorf("%d segments", n)
	}
	for range 2 {
		l.Close()
		l = open(t, dir, Options{SegmentBytes: 200})
		if diff := cmp.Diff(want, replay(t, l)); diff != "" {
			t.Fatal(diff)
		}
		appendAll(t, l, "more")
		want = append(want, "more")
	}
}

func TestGroupedFsync(t *testing.T) {
	syncs := 0
	o := Options{create: faulty(&faults{sync: func() error { syncs++; time.Sleep(time.Millisecond); return nil }})}
	l := open(t, t.TempDir(), o)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var order []string
	for i := range 400 {
		wg.Go(func() {
			done := make(chan error, 1)
			r := fmt.Sprint(i)
			err := l.Enqueue([]byte(r), func(_ uint64, err error) {
				mu.Lock()
				order = append(order, r)
				mu.Unlock()
				done <- err
			})
			if err == nil {
				err = <-done
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	l.Close()
	if syncs > 300 {
		t.Errorf("%d fsyncs for 400 records", syncs)
	}
	l = open(t, l.dir, Options{})
	if diff := cmp.Diff(order, replay(t, l)); diff != "" {
		t.Error("acknowledged in another order than logged:", diff)
	}
}

func TestTrim(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{SegmentBytes: 1})
	appendAll(t, l, "a", "b", "c")
	if n, err := l.Trim(3); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := l.Trim(2); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	l.Close()
	l = open(t, dir, Options{SegmentBytes: 1})
	if diff := cmp.Diff([]string{"c"}, replay(t, l)); diff != "" {
		t.Fatal(diff)
	}
	if n, err := l.Trim(1 << 60); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	before := l.Mark()
	appendAll(t, l, "d")
	for l.Mark() == before { // it moves when the acknowledgement has been delivered
		time.Sleep(time.Millisecond)
	}
	if n, err := l.Trim(l.Mark()); n != 1 || err != nil { // a full segment is closed
		t.Fatal(n, err)
	}
	if l.Bytes() != 0 {
		t.Errorf("%d bytes left", l.Bytes())
	}
}

// TestScan covers that what is acknowledged is found at once, each record once,
// while the log is written.
func TestScan(t *testing.T) {
	l := open(t, t.TempDir(), Options{SegmentBytes: 150})
	for i := range 60 {
		appendAll(t, l, fmt.Sprint("record ", i))
		var got []string
		if err := l.Scan(0, func(r []byte) error { got = append(got, string(r)); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(got) != i+1 || got[i] != fmt.Sprint("record ", i) {
			t.Fatalf("after %d records: %q", i+1, got)
		}
	}
	from := l.Mark()
	n := 0
	if err := l.Scan(from, func([]byte) error { n++; return nil }); err != nil || n == 0 || n > 10 {
		t.Errorf("%d records from segment %d on, %v", n, from, err)
	}
}

// TestMark covers that a record that was not delivered is never trimmed.
func TestMark(t *testing.T) {
	l := open(t, t.TempDir(), Options{SegmentBytes: 1})
	inside, goOn := make(chan uint64), make(chan bool)
	err := l.Enqueue([]byte("a"), func(seq uint64, _ error) { inside <- seq; <-goOn })
	if err != nil {
		t.Fatal(err)
	}
	seq := <-inside
	if m := l.Mark(); m > seq {
		t.Errorf("mark %d, record in %d", m, seq)
	}
	if n, err := l.Trim(1 << 60); n != 0 || err != nil {
		t.Error("trimmed", n, err)
	}
	close(goOn)
}

func TestTornTailIsCutOff(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	appendAll(t, l, "a", "b", "last record")
	l.Close()
	whole, err := os.ReadFile(segmentFiles(t, dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	lastFrame := int64(len(whole)) - frameBytes - lengthBytes - int64(len("last record"))
	for cutAt := lastFrame; cutAt < int64(len(whole)); cutAt++ {
		for _, zeros := range []int{0, 1, 50} {
			writeFile(t, l.path(1), append(bytes.Clone(whole[:cutAt]), make([]byte, zeros)...))
			l := open(t, dir, Options{})
			got := replay(t, l)
			want := []string{"a", "b"}
			if cutAt+int64(zeros) == int64(len(whole)) && bytes.HasSuffix(whole, make([]byte, zeros)) && zeros > 0 {
				want = append(want, "last record")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("cut at %d: %s", cutAt, diff)
			}
			if cutAt > lastFrame && l.Torn() == 0 {
				t.Error("a torn frame is not told")
			}
			appendAll(t, l, "after")
			l.Close()
			l = open(t, dir, Options{})
			if diff := cmp.Diff([]string{"a", "b", "after"}, replay(t, l)); diff != "" {
				t.Fatalf("cut at %d: %s", cutAt, diff)
			}
			l.Close()
			os.Remove(l.path(2))
		}
	}
}

func TestTornHeaderIsDropped(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{SegmentBytes: 1})
	appendAll(t, l, "a", "b")
	l.Close()
	for size := range headerBytes + 1 {
		writeFile(t, l.path(3), make([]byte, size))
		l := open(t, dir, Options{})
		if diff := cmp.Diff([]string{"a", "b"}, replay(t, l)); diff != "" {
			t.Fatal(diff)
		}
		l.Close()
	}
}

func TestDamageIsLoud(t *testing.T) {
	for name, damage := range map[string]func(files []string) error{
		"first segment's record":  flip(0, headerBytes+frameBytes+lengthBytes),
		"first segment's frame":   flip(0, headerBytes+1),
		"first segment's header":  flip(0, 9),
		"middle of the last one":  flip(1, headerBytes+frameBytes+lengthBytes),
		"length in the last one":  flip(1, headerBytes+2),
		"header of the last one":  flip(1, 17),
		"first segment cut":       func(f []string) error { return os.Truncate(f[0], headerBytes+frameBytes) },
		"first segment emptied":   func(f []string) error { return os.Truncate(f[0], 0) },
		"segment between missing": func(f []string) error { return os.Rename(f[1], filepath.Join(filepath.Dir(f[1]), segmentName(3))) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, dir, Options{SegmentBytes: 1})
			appendAll(t, l, "first record")
			l.Close()
			l = open(t, dir, Options{})
			appendAll(t, l, "second", "third")
			l.Close()
			files := segmentFiles(t, dir)
			if len(files) != 2 {
				t.Fatal(files)
			}
			if err := damage(files); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir, Options{})
			if fault.CodeOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), suffix+" at byte ") {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestSecondProcessIsKeptOut(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Options{})
	if _, err := Open(dir, Options{}); fault.CodeOf(err) != fault.FailedPrecondition {
		t.Fatal(err)
	}
}

func TestLimits(t *testing.T) {
	block := make(chan bool)
	l := open(t, t.TempDir(), Options{PendingBytes: 10})
	if err := l.Append(t.Context(), make([]byte, RecordBytesMax+1)); fault.CodeOf(err) != fault.TooLarge {
		t.Error(err)
	}
	if err := l.Enqueue(make([]byte, 100), func(uint64, error) { <-block }); err != nil {
		t.Error("a single record is over the limit:", err)
	}
	if err := l.Append(t.Context(), make([]byte, 1)); fault.CodeOf(err) != fault.ResourceExhausted {
		t.Error(err)
	}
	close(block)
	l.Close()
	if err := l.Append(t.Context(), []byte("x")); fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
}

func TestDiskFull(t *testing.T) {
	for name, room := range map[string]int64{"in a record": headerBytes + 100, "in a header": 10} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f := &faults{room: room}
			l := open(t, dir, Options{create: faulty(f)})
			var want []string
			var failed error
			for i := 0; failed == nil; i++ {
				r := fmt.Sprintf("%d %s", i, strings.Repeat("x", 20))
				if failed = l.Append(t.Context(), []byte(r)); failed == nil {
					want = append(want, r)
				}
			}
			if fault.CodeOf(failed) != fault.ResourceExhausted || !strings.Contains(failed.Error(), "free space") {
				t.Fatalf("got %v", failed)
			}
			f.setRoom(1 << 30)
			appendAll(t, l, "space again")
			want = append(want, "space again")
			l.Close()
			if diff := cmp.Diff(want, replay(t, open(t, dir, Options{}))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFailedFsyncPoisonsTheSegment(t *testing.T) {
	dir := t.TempDir()
	var fail error
	f := &faults{sync: func() error { return fail }, noTruncate: true}
	l := open(t, dir, Options{create: faulty(f)})
	appendAll(t, l, "a")
	fail = syscall.EIO
	if err := l.Append(t.Context(), []byte("lost")); fault.CodeOf(err) != fault.Unavailable {
		t.Fatal(err)
	}
	fail = nil
	appendAll(t, l, "b")
	l.Close()
	if n := len(segmentFiles(t, dir)); n != 2 {
		t.Errorf("%d segments", n)
	}
	if diff := cmp.Diff([]string{"a", "b"}, replay(t, open(t, dir, Options{}))); diff != "" {
		t.Error(diff)
	}
}

// faults is a disk that can fail.
type faults struct {
	mu         sync.Mutex
	room       int64 // bytes that can still be written, if not 0
	sync       func() error
	noTruncate bool
}

func (f *faults) setRoom(n int64) { f.mu.Lock(); f.room = n; f.mu.Unlock() }

type faultyFile struct {
	*os.File
	f *faults
}

func faulty(f *faults) func(string) (file, error) {
	return func(path string) (file, error) {
		real, err := os.Create(path)
		return faultyFile{real, f}, err
	}
}

func (w faultyFile) WriteAt(p []byte, off int64) (int, error) {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	if w.f.room == 0 || w.f.room >= int64(len(p)) {
		if w.f.room != 0 {
			w.f.room -= int64(len(p))
		}
		return w.File.WriteAt(p, off)
	}
	n, err := w.File.WriteAt(p[:w.f.room], off)
	return n, errors.Join(err, syscall.ENOSPC)
}

func (w faultyFile) Sync() error {
	if w.f.sync == nil {
		return w.File.Sync()
	}
	return w.f.sync()
}

func (w faultyFile) Truncate(n int64) error {
	if w.f.noTruncate {
		return syscall.EIO
	}
	return w.File.Truncate(n)
}

func flip(file int, offset int64) func([]string) error {
	return func(files []string) error {
		data, err := os.ReadFile(files[file])
		if err != nil {
			return err
		}
		data[offset] ^= 0x41
		return os.WriteFile(files[file], data, 0o600)
	}
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
