package objstoretest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"skein/objstore"
)

// Run checks every promise of objstore.Store. Open returns an empty store and
// registers its closing with t; it is called once for each promise.
func Run(t *testing.T, open func(t testing.TB) objstore.Store) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.check(t, open(t)) })
	}
}

// cases are the promises by name. A check stops at its first failure.
var cases = []struct {
	name  string
	check func(t testing.TB, s objstore.Store)
}{
	{"range", ranges},
	{"range-invalid", rangesInvalid},
	{"replace", replace},
	{"stat", stat},
	{"not-found", notFound},
	{"delete", deletes},
	{"keys-invalid", keysInvalid},
	{"keys-odd", keysOdd},
	{"list", list},
	{"list-stops", listStops},
	{"put-size", putSize},
	{"put-concurrent", putConcurrent},
	{"put-delete-concurrent", putDeleteConcurrent},
	{"cancelled", cancelled},
	{"ping", ping},
	{"put-bad-reader", putBadReader},
	{"round-trip", roundTrip},
}

// content is size bytes that no other seed gives.
func content(seed uint64, size int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

func put(t testing.TB, s objstore.Store, key string, b []byte) {
	t.Helper()
	if err := s.Put(t.Context(), key, bytes.NewReader(b), int64(len(b))); err != nil {
		t.Fatalf("put %q of %d bytes: %v", key, len(b), err)
	}
}

func get(t testing.TB, s objstore.Store, key string, offset, length int64) ([]byte, error) {
	t.Helper()
	r, err := s.Get(t.Context(), key, offset, length)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	if closeErr := r.Close(); closeErr != nil {
		t.Fatalf("close reader of %q: %v", key, closeErr)
	}
	return b, err
}

func wantObject(t testing.TB, s objstore.Store, key string, want []byte) {
	t.Helper()
	wantRange(t, s, key, 0, -1, want)
}

func wantRange(t testing.TB, s objstore.Store, key string, offset, length int64, want []byte) {
	t.Helper()
	got, err := get(t, s, key, offset, length)
	if err != nil {
		t.Fatalf("get %q [%d, %d]: %v", key, offset, length, err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("get %q [%d, %d] gives %s, not %s", key, offset, length, brief(got), brief(want))
	}
}

func wantAbsent(t testing.TB, s objstore.Store, key string) {
	t.Helper()
	if _, err := get(t, s, key, 0, -1); !errors.Is(err, objstore.ErrNotFound) {
		t.Fatalf("get %q: %v, want ErrNotFound", key, err)
	}
	if _, err := s.Stat(t.Context(), key); !errors.Is(err, objstore.ErrNotFound) {
		t.Fatalf("stat %q: %v, want ErrNotFound", key, err)
	}
}

func brief(b []byte) string {
	if len(b) > 8 {
		return fmt.Sprintf("%d bytes %x…", len(b), b[:8])
	}
	return fmt.Sprintf("%d bytes %x", len(b), b)
}
