package objstoretest

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"skein/internal/fault"
	"skein/objstore"
)

func roundTrip(t testing.TB, s objstore.Store) {
	for i, size := range []int{0, 1, 4095, 4096, 1 << 20, 16<<20 - 1, 16 << 20, 16<<20 + 1, 20_000_000} {
		key, want := fmt.Sprintf("trip/%d", size), content(uint64(i), size)
		put(t, s, key, want)
		wantObject(t, s, key, want)
	}
}

func ranges(t testing.TB, s objstore.Store) {
	const size = 100_000
	want := content(1, size)
	put(t, s, "range/object", want)
	for _, c := range []struct{ offset, length, from, to int64 }{
		{0, -1, 0, size},
		{0, 1, 0, 1},
		{0, size, 0, size},
		{1, 0, 1, 1},
		{0, 0, 0, 0},
		{10, 20, 10, 30},
		{size - 1, 1, size - 1, size},
		{size - 10, -1, size - 10, size},
		{size - 10, 11, size - 10, size}, // beyond the end: what is there
		{10, math.MaxInt64, 10, size},
		{size, -1, size, size},
		{size, 5, size, size},
		{size + 7, -1, size, size},
		{size + 7, 5, size, size},
	} {
		wantRange(t, s, "range/object", c.offset, c.length, want[c.from:c.to])
	}
	put(t, s, "range/empty", nil)
	wantRange(t, s, "range/empty", 0, -1, nil)
	wantRange(t, s, "range/empty", 0, 10, nil)
	wantRange(t, s, "range/empty", 3, -1, nil)
}

func rangesInvalid(t testing.TB, s objstore.Store) {
	put(t, s, "object", []byte("x"))
	for _, c := range [][2]int64{{-1, -1}, {-1, 5}, {0, -2}, {math.MinInt64, math.MinInt64}} {
		if _, err := get(t, s, "object", c[0], c[1]); fault.CodeOf(err) != fault.InvalidArgument {
			t.Fatalf("get %v: %v, want InvalidArgument", c, err)
		}
	}
}

func stat(t testing.TB, s objstore.Store) {
	before := time.Now().Add(-time.Minute) // clocks differ a little
	put(t, s, "stat/object", content(1, 1234))
	info, err := s.Stat(t.Context(), "stat/object")
	if err != nil {
		t.Fatal(err)
	}
	if info.Key != "stat/object" || info.Size != 1234 {
		t.Fatalf("stat gives %+v", info)
	}
	if info.Modified.Before(before) || info.Modified.After(time.Now().Add(time.Minute)) {
		t.Fatalf("modified at %s", info.Modified)
	}
}

func notFound(t testing.TB, s objstore.Store) {
	wantAbsent(t, s, "missing")
	put(t, s, "there/object", []byte("x"))
	wantAbsent(t, s, "there")
	wantAbsent(t, s, "there/objec")
	wantAbsent(t, s, "there/object2")
	wantAbsent(t, s, "there/object/below")
}

func ping(t testing.TB, s objstore.Store) {
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantList(t, s, "")
}

func list(t testing.TB, s objstore.Store) {
	keys := []string{
		"orders/o-1/2024-01-15/1.parquet",
		"users-old/x",
		"users/%2F/2024-01-15/1.parquet",
		"users/u-1-a/2024-01-15/1.parquet",
		"users/u-1/2024-01-15/1.parquet",
		"users/u-1/2024-01-15/2.parquet",
		"users/u-1/2024-01-16/3.parquet",
		"users/u-10/2024-01-15/1.parquet",
		"users/Ü/1",
		"users0/x",
	}
	for i := range keys {
		put(t, s, keys[(i*7)%len(keys)], content(uint64(i), i)) // not in order
	}
	sizes := map[string]int64{}
	for i := range keys {
		sizes[keys[(i*7)%len(keys)]] = int64(i)
	}
	for _, prefix := range []string{
		"", "u", "users", "users/", "users/u-1", "users/u-1/", "users/u-1/2024-01-1",
		"users/u-1/2024-01-15/2.parquet", "users/Ü", "x", "users/u-1/2024-01-15/2.parquet/", "orders/o-2/",
		"/", "users//", "..", "../", "users/../", "./", "users/\x00", "users/\xff", strings.Repeat("long", 1000), // no key begins so
	} {
		var want []string
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		wantList(t, s, prefix, want...)
	}
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if info.Size != sizes[info.Key] || info.Modified.IsZero() {
			t.Fatalf("list gives %+v, want size %d", info, sizes[info.Key])
		}
	}
}

func wantList(t testing.TB, s objstore.Store, prefix string, want ...string) {
	t.Helper()
	var got []string
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		got = append(got, info.Key)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("list %q gives\n%s\nnot\n%s", prefix, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func listStops(t testing.TB, s objstore.Store) {
	for i := range 5 {
		put(t, s, fmt.Sprintf("stop/%d/%d", i%2, i), nil)
	}
	n := 0
	for _, err := range s.List(t.Context(), "stop/") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Fatalf("list gave %d of 5 objects before it was stopped at 2", n)
	}
}
