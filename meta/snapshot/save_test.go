package snapshot_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/boltmeta"
	"skein/meta/snapshot"
)

type objects map[string][]byte

func (o objects) Put(_ context.Context, key string, r io.Reader, size int64) error {
	data, err := io.ReadAll(r)
	if int64(len(data)) != size {
		return errors.New("another size")
	}
	o[key] = data
	return err
}

func TestSave(t *testing.T) {
	s, err := boltmeta.Open(filepath.Join(t.TempDir(), "catalog"), boltmeta.Options{})
	must(t, err)
	defer s.Close()
	fill(t, s)
	want, dir := state(t, s), t.TempDir()
	for _, compress := range []bool{false, true} {
		store := objects{}
		key, sum, err := snapshot.Save(t.Context(), store, dir, s, snapshot.Options{At: noon, Compress: compress})
		must(t, err)
		if at, ok := snapshot.ParseKey(key); !ok || !at.Equal(noon) || sum.Totals.Tables != 3 {
			t.Error(key, at, ok, sum)
		}
		empty, err := boltmeta.Open(filepath.Join(t.TempDir(), "catalog"), boltmeta.Options{})
		must(t, err)
		_, err = snapshot.Restore(t.Context(), empty, snapshot.Request{}, from(store[key]))
		must(t, err)
		same(t, "restored", want, state(t, empty))
		must(t, empty.Close())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Error("temporary files are left:", left, err)
	}
	if _, _, err := snapshot.Save(t.Context(), objects{}, filepath.Join(dir, "none"), s, snapshot.Options{}); err == nil {
		t.Error("a directory that is not there is taken")
	}
}

// vanishing loses everything once its tables are told.
type vanishing struct {
	meta.Store
	gone    bool
	another bool // and another catalog of the same version is there
}

func (v *vanishing) Tables(ctx context.Context) ([]meta.Table, error) {
	all, err := v.Store.Tables(ctx)
	v.gone = true
	return all, err
}

func (v *vanishing) ReadImage(context.Context, string, func(meta.Image) error) error {
	return meta.ErrTableNotFound
}

func (v *vanishing) CatalogVersion(ctx context.Context) (meta.Semver, error) {
	if v.gone && !v.another {
		return meta.FirstVersion, nil
	}
	return v.Store.CatalogVersion(ctx)
}

func (v *vanishing) Birth(ctx context.Context) (string, error) {
	if v.gone {
		return "another", nil
	}
	return v.Store.Birth(ctx)
}

// TestSaveWhileLost: there is no snapshot of what is left of a catalog that is
// lost while it is read, or just before.
func TestSaveWhileLost(t *testing.T) {
	s, err := boltmeta.Open(filepath.Join(t.TempDir(), "catalog"), boltmeta.Options{})
	must(t, err)
	defer s.Close()
	fill(t, s)
	had, err := s.CatalogVersion(t.Context())
	must(t, err)
	for _, v := range []*vanishing{{Store: s}, {Store: s, gone: true}, {Store: s, another: true}} {
		store := objects{}
		_, _, err := snapshot.Save(t.Context(), store, t.TempDir(), v, snapshot.Options{Least: had})
		if fault.CodeOf(err) != fault.FailedPrecondition || len(store) != 0 {
			t.Errorf("%v, %d objects", err, len(store))
		}
	}
}

func TestExpired(t *testing.T) {
	var keys []string
	for day := range 5 {
		keys = append(keys, snapshot.Key(noon.AddDate(0, 0, -day), day%2 == 0))
	}
	all := append(slices.Clone(keys), "metadata/backups/x", "metadata/backups/2024-01-01/backup_1.json", "users/_/2024-01-15/1.parquet")
	slices.Reverse(all)
	for _, c := range []struct {
		keep  time.Duration
		least int
		want  []string
	}{{48 * time.Hour, 0, keys[3:]}, {48 * time.Hour, 4, keys[4:]}, {0, 1, keys[1:]}, {0, 9, nil}, {1e6 * time.Hour, 0, nil}} {
		if got := snapshot.Expired(all, noon, c.keep, c.least); !slices.Equal(got, c.want) {
			t.Errorf("kept %s and %d: %q, want %q", c.keep, c.least, got, c.want)
		}
	}
}
