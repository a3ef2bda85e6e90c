package objstore

import (
	"context"
	"io"
	"iter"
	"time"

	"skein/internal/fault"
)

// The errors that every driver returns, wrapped with the key they concern.
var (
	ErrNotFound   = fault.New(fault.NotFound, "object not found")
	ErrInvalidKey = fault.New(fault.InvalidArgument, "invalid object key")
)

// Store keeps objects by key. A key is a relative slash-separated path of UTF-8
// without empty, "." or ".." parts, control characters or NUL, at most 1,024
// bytes and 255 between slashes.
// All methods may be called from many goroutines at once.
type Store interface {
	// Put stores size bytes from r under key, replacing what was there. When
	// it returns nil the object is durable and whole; a reader sees the old
	// object or the new one, never a part. On error nothing has changed.
	Put(ctx context.Context, key string, r io.Reader, size int64) error
	// Get opens length bytes from offset; length -1 means to the end. Of a
	// range beyond the end comes what is there, perhaps nothing. The caller
	// closes it. ErrNotFound may come from Get or from the first Read.
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	// Stat returns the object's size and time, or ErrNotFound.
	Stat(ctx context.Context, key string) (Info, error)
	// Delete removes the object. Deleting what is not there is no error.
	Delete(ctx context.Context, key string) error
	// List yields the objects whose key starts with prefix, ordered by key. It
	// ends after the first error, which it yields.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
	// Ping tells whether the store answers and may be used.
	Ping(ctx context.Context) error
}

// Localer is a Store whose objects are files on this machine: they need no
// copy to be read by path.
type Localer interface {
	// LocalPath returns the absolute path of the object, or ErrNotFound.
	LocalPath(key string) (string, error)
}

// Summer is a Store that keeps checksums.
type Summer interface {
	// Sum returns what Stat does, and the checksum that the store has of the
	// object, such as CRC32C:AAAAAA==. Objects with the same checksum are the
	// same; those with others may be the same too, if they were stored in
	// other parts. Empty if the store has none.
	Sum(ctx context.Context, key string) (Info, string, error)
	// Open is Get of the whole object and Sum in one request.
	Open(ctx context.Context, key string) (io.ReadCloser, Info, string, error)
}

// Info is what a store tells of an object.
type Info struct {
	Key      string
	Size     int64
	Modified time.Time
}
