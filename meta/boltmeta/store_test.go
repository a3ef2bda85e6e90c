package boltmeta_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/boltmeta"
	"skein/meta/metatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, path string) *boltmeta.Store {
	t.Helper()
	s, err := boltmeta.Open(path, boltmeta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	metatest.Run(t, func(t *testing.T) meta.Store {
		return open(t, filepath.Join(t.TempDir(), "catalog"))
	})
}

func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog")
	open(t, path)
	_, err := boltmeta.Open(path, boltmeta.Options{LockTimeout: 50 * time.Millisecond})
	if fault.CodeOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), "is another skein serve running on this data directory?") {
		t.Errorf("error %v", err)
	}
}

func TestReopen(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "catalog")
	s, err := boltmeta.Open(path, boltmeta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateTable(ctx, meta.Table{Name: "t", UID: "u"}); err != nil {
		t.Fatal(err)
	}
	c := meta.Commit{Table: "t", TableUID: "u", Unit: "a", Add: []meta.File{{Path: "p", Day: "2024-01-15", Rows: 3}}}
	if err := s.Commit(ctx, c); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(ctx); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("ping of a closed store: %v", err)
	}
	got, err := open(t, path).Table(ctx, "t")
	if err != nil || got.Stats.Rows != 3 {
		t.Errorf("after opening again: %+v, %v", got, err)
	}
}

func TestOpenBadFiles(t *testing.T) {
	dir := t.TempDir()
	garbage, other := filepath.Join(dir, "garbage"), filepath.Join(dir, "other")
	if err := os.WriteFile(garbage, bytes.Repeat([]byte("x"), 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(other, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("cluster"))
		if err != nil {
			return err
		}
		return b.Put([]byte("format"), []byte("99"))
	})
	if err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		garbage: "garbage", other: "format 99", dir: dir, filepath.Join(dir, "no", "such"): "no such",
	} {
		_, err := boltmeta.Open(path, boltmeta.Options{})
		if fault.CodeOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", path, err)
		}
	}
}

func TestLeftNodesAreForgottenInTime(t *testing.T) {
	s, err := boltmeta.Open(filepath.Join(t.TempDir(), "catalog"), boltmeta.Options{KeepLeft: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := t.Context()
	for _, err := range []error{s.Heartbeat(ctx, meta.Node{ID: "n1"}), s.Leave(ctx, "n1")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if reaped, err := s.Reap(ctx, time.Hour); err != nil || len(reaped) != 0 {
		t.Errorf("reaped %v, %v", reaped, err)
	}
	if nodes, err := s.Nodes(ctx); err != nil || len(nodes) != 0 {
		t.Errorf("nodes %v, %v", nodes, err)
	}
}

func fill(b *testing.B, files int) *boltmeta.Store {
	s, err := boltmeta.Open(filepath.Join(b.TempDir(), "catalog"), boltmeta.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	ctx := context.Background()
	if err := s.CreateTable(ctx, meta.Table{Name: "t"}); err != nil {
		b.Fatal(err)
	}
	for done := 0; done < files; {
		c := meta.Commit{Table: "t", Unit: fmt.Sprint(done)}
		for range min(meta.CommitFilesMax, files-done) {
			at := time.Unix(int64(1e9+done), 0)
			c.Add = append(c.Add, meta.File{Path: meta.ObjectPath("t", "_", "2024-01-15", int64(done)), Day: "2024-01-15", MinTime: at, MaxTime: at})
			done++
		}
		if err := s.Commit(ctx, c); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func BenchmarkVersion100k(b *testing.B) {
	s := fill(b, 100_000)
	for b.Loop() {
		if _, err := s.Version(b.Context(), "t"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkListing100k(b *testing.B) {
	s := fill(b, 100_000)
	for b.Loop() {
		if l, err := s.Listing(b.Context(), "t"); err != nil || len(l.Files) != 100_000 {
			b.Fatal(err)
		}
	}
}

// TestColumnsOneByOne: what a table takes grows with its columns, not with
// the square of their number.
func TestColumnsOneByOne(t *testing.T) {
	const n = 300
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "catalog")
	s := open(t, path)
	table := meta.Table{Name: "t", UID: "u", Schemas: []meta.Schema{{Records: true}}}
	if err := s.CreateTable(ctx, table); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		grown, _ := meta.MergeSchemas(table.Schema(), []meta.Column{{Name: fmt.Sprintf("c%d", i), Type: meta.Type{Kind: meta.KindBigInt}}})
		table.Schemas = append(table.Schemas, grown)
		var err error
		if table, err = s.UpdateTable(ctx, table); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Table(ctx, "t")
	if err != nil || len(got.Schemas) != n+1 || len(got.Schemas[n/2].Columns) != n/2 || len(got.Schema().Columns) != n {
		t.Errorf("%d versions: %v", len(got.Schemas), err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 2<<20 {
		t.Errorf("%d bytes: %v", info.Size(), err)
	}
}

// TestLockEnds: a lock ends by itself, and with the process that had it.
func TestLockEnds(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "catalog")
	s, err := boltmeta.Open(path, boltmeta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Lock(ctx, "leader", "n1", time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond)
	second, err := s.Lock(ctx, "leader", "n2", time.Hour)
	if err != nil || second <= first {
		t.Fatal(first, second, err)
	}
	if err := errors.Join(s.StageFiles(ctx, "t", "left", nil), s.Close()); err != nil {
		t.Fatal(err)
	}
	if third, err := open(t, path).Lock(ctx, "leader", "n3", time.Hour); err != nil || third <= second {
		t.Fatal(second, third, err)
	}
}

// TestOtherLayout: a catalog of another major version is refused.
func TestOtherLayout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte("cluster")).Put([]byte("version"), []byte("2.0.0")) })
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = boltmeta.Open(path, boltmeta.Options{})
	if fault.CodeOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), "the catalog has version 2.0.0, this skein reads versions 1.x") {
		t.Error(err)
	}
}

// TestBirth: a catalog is the same one when it is opened again, and another one
// when its file was lost.
func TestBirth(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog")
	births := map[string]int{}
	for i := range 3 {
		if i == 2 {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		s, err := boltmeta.Open(path, boltmeta.Options{})
		if err != nil {
			t.Fatal(err)
		}
		birth, err := s.Birth(t.Context())
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
		births[birth]++
	}
	if len(births) != 2 {
		t.Errorf("births %v", births)
	}
}
