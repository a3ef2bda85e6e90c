package rebuild

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"skein/internal/fault"
	"skein/meta"
)

func TestParsePath(t *testing.T) {
	for key, want := range map[string]Path{
		"users/user-123/2024-01-15/1705123456789.parquet": {"users", "user-123", "2024-01-15", 1705123456789},
		"users/_/2024-02-29/0.parquet":                    {"users", "_", "2024-02-29", 0},
		"users/a%2Fb/2024-01-15/7.parquet":                {"users", "a%2Fb", "2024-01-15", 7},
	} {
		if got, ok := ParsePath(key); !ok || got != want {
			t.Errorf("%s: %+v %v", key, got, ok)
		}
	}
	for _, key := range []string{"", "users", "users/_/2024-01-15/7.json", "users/_/2024-02-30/7.parquet", "users/_/2024-1-15/7.parquet",
		"Users/_/2024-01-15/7.parquet", "metadata/backups/2024-01-15/backup_1.json", "metadata/_/2024-01-15/7.parquet", "users//2024-01-15/7.parquet",
		"users/_/2024-01-15/-7.parquet", "users/_/2024-01-15/07.parquet", "users/_/2024-01-15/x/7.parquet", "users/_/2024-01-15/99999999999999999999.parquet"} {
		if p, ok := ParsePath(key); ok {
			t.Errorf("%q is taken for %+v", key, p)
		}
	}
}

func TestDecodeID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.String().Draw(t, "id")
		got, ok := DecodeID(meta.EncodeID(id))
		if ok && got != id || !ok && id != "" && len(meta.EncodeID(id)) < meta.IDSegmentMax-40 {
			t.Fatalf("%q became %q, %v", id, got, ok)
		}
	})
	for _, segment := range []string{meta.NoID, "", "%zz", "a b", meta.EncodeID(strings.Repeat("x", 400))} {
		if id, ok := DecodeID(segment); ok {
			t.Errorf("%q is taken for the id %q", segment, id)
		}
	}
}

func listing(keys ...string) iter.Seq2[Object, error] {
	slices.Sort(keys)
	return func(yield func(Object, error) bool) {
		for _, key := range keys {
			if !yield(Object{key, 9}, nil) {
				return
			}
		}
	}
}

func TestFiles(t *testing.T) {
	merged := map[string][]string{"a/x/2024-01-15/3.parquet": {"a/x/2024-01-15/1.parquet", "a/x/2024-01-15/2.parquet", "a/x/2024-01-15/0.parquet"}}
	footer := func(_ context.Context, p Path, o Object) (Footer, error) {
		if p.Number == 13 {
			return Footer{}, fault.New(fault.FailedPrecondition, "not Parquet")
		}
		id, ok := DecodeID(p.Segment)
		return Footer{File: meta.File{Rows: 2, ID: id, HasID: ok, SchemaVersion: 1}, Source: 7, Replaces: merged[o.Key]}, nil
	}
	var got []string
	put := func(table string, files []Found) error {
		for _, found := range files {
			f := found.File
			if found.Source != 7 || f.Unit == "" {
				t.Errorf("%+v", found)
			}
			got = append(got, fmt.Sprint(table, " ", f.Path, " ", f.ID, " ", f.HasID, " ", f.Day, " ", f.Rows, f.Bytes))
		}
		return nil
	}
	keys := []string{"a/x/2024-01-15/1.parquet", "a/x/2024-01-15/2.parquet", "a/x/2024-01-15/3.parquet", "a/x/2024-01-15/13.parquet", "a/x/2024-01-16/1.parquet",
		"b/_/2024-01-15/1.parquet", "metadata/x.json"}
	r, err := Files(t.Context(), listing(keys...), footer, put)
	if err != nil {
		t.Fatal(err)
	}
	want := Result{Files: 3, Rows: 6, Replaced: 2, SkippedN: 2, Skipped: map[string]string{"a/x/2024-01-15/13.parquet": "not Parquet", "metadata/x.json": reasonOther}}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a a/x/2024-01-15/3.parquet x true 2024-01-15 2 9", "a a/x/2024-01-16/1.parquet x true 2024-01-16 2 9",
		"b b/_/2024-01-15/1.parquet  false 2024-01-15 2 9"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestPagesAndErrors(t *testing.T) {
	var keys []string
	for i := range 2*meta.PageMax + 5 {
		keys = append(keys, meta.ObjectPath("a", "x", "2024-01-15", int64(i)))
	}
	keys = append(keys, meta.ObjectPath("b", "x", "2024-01-15", 1))
	good := func(context.Context, Path, Object) (Footer, error) { return Footer{}, nil }
	var pages []string
	_, err := Files(t.Context(), listing(keys...), good, func(table string, files []Found) error {
		pages = append(pages, fmt.Sprint(table, len(files)))
		return nil
	})
	if want := []string{"a1000", "a1000", "a5", "b1"}; err != nil || !slices.Equal(pages, want) {
		t.Errorf("pages %v: %v", pages, err)
	}
	broken := errors.New("broken")
	bad := func(context.Context, Path, Object) (Footer, error) { return Footer{}, broken }
	if _, err := Files(t.Context(), listing(keys...), bad, nil); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := Files(t.Context(), listing(keys...), good, func(string, []Found) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	unordered := func(yield func(Object, error) bool) { _ = yield(Object{"b", 1}, nil) && yield(Object{"a", 1}, nil) }
	if _, err := Files(t.Context(), unordered, good, nil); err == nil {
		t.Error("a listing out of order is taken")
	}
	failed := func(yield func(Object, error) bool) { yield(Object{}, broken) }
	if _, err := Files(t.Context(), failed, good, nil); !errors.Is(err, broken) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Files(ctx, listing(keys...), good, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
