package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Prefix is where snapshots are in an object store.
const Prefix = "metadata/backups/"

// Sink is an object store as far as a snapshot needs it.
type Sink interface {
	// Put stores size bytes from r under key, whole or not at all.
	Put(ctx context.Context, key string, r io.Reader, size int64) error
}

// Save writes a snapshot to a temporary file in dir, or that of the system,
// verifies it, and puts it in the store under Key.
func Save(ctx context.Context, to Sink, dir string, s Source, o Options) (key string, sum Summary, err error) {
	if o.At.IsZero() {
		o.At = time.Now()
	}
	f, err := os.CreateTemp(dir, "skein-snapshot-*")
	if err != nil {
		return "", sum, spoolError(err)
	}
	defer func() { _, _ = f.Close(), os.Remove(f.Name()) }()
	if sum, err = Write(ctx, f, s, o); err != nil {
		return "", sum, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", sum, spoolError(err)
	}
	if _, _, err := Read(ctx, f, nil); err != nil {
		return "", sum, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", sum, spoolError(err)
	}
	key = Key(o.At, o.Compress)
	if err := to.Put(ctx, key, f, sum.Size); err != nil {
		return "", sum, fmt.Errorf("snapshot: %w", err)
	}
	return key, sum, nil
}

// ParseKey tells when a snapshot was made, by its key.
func ParseKey(key string) (at time.Time, ok bool) {
	_, name, _ := strings.Cut(strings.TrimPrefix(key, Prefix), "/backup_")
	name, compressed := strings.CutSuffix(name, ".zst")
	digits, _ := strings.CutSuffix(name, ".json")
	ns, err := strconv.ParseInt(digits, 10, 64)
	at = time.Unix(0, ns).UTC()
	return at, err == nil && Key(at, compressed) == key
}

// Expired are those of the keys whose snapshots are older than keep, but never
// the newest ones, of which least stay. Other keys stay too.
func Expired(keys []string, now time.Time, keep time.Duration, least int) []string {
	var ours []string
	for _, key := range keys {
		if _, ok := ParseKey(key); ok {
			ours = append(ours, key)
		}
	}
	slices.SortFunc(ours, func(a, b string) int {
		at, _ := ParseKey(a)
		bt, _ := ParseKey(b)
		return cmp.Or(bt.Compare(at), strings.Compare(a, b))
	})
	return slices.DeleteFunc(ours[min(max(least, 0), len(ours)):], func(key string) bool {
		at, _ := ParseKey(key)
		return now.Sub(at) <= keep
	})
}
