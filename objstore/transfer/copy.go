package transfer

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"skein/internal/fault"
	"skein/objstore"
)

// ErrDiffers says that two stores hold other bytes under one key.
var ErrDiffers = fault.New(fault.Aborted, "object is not the same in both stores")

// Copy copies one object and returns its size. The bytes stream; they are
// checked against the checksum that from has of them, if it has one of the
// whole object. ErrNotFound if from has no such object.
func Copy(ctx context.Context, from, to objstore.Store, key string) (int64, error) {
	body, info, want, err := open(ctx, from, key)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	r := &summing{r: body, sum: crc32.New(castagnoli), want: want, key: key, left: info.Size}
	if err := to.Put(ctx, key, r, info.Size); err != nil {
		return 0, err
	}
	return info.Size, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// summing fails its last read if the bytes are not what was wanted, so that
// Put does not take them for a whole object.
type summing struct {
	r    io.Reader
	sum  hash.Hash32
	want string
	key  string
	left int64
}

func (s *summing) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	_, _ = s.sum.Write(p[:n]) // never fails
	s.left -= int64(n)
	if s.left <= 0 && isWhole(s.want) && s.want != textOf(s.sum) {
		return 0, fmt.Errorf("object %q was damaged on its way: %w", s.key, ErrDiffers)
	}
	return n, err
}

// isWhole tells a checksum of a whole object; one of parts ends with their
// number.
func isWhole(sum string) bool { return len(sum) == len("CRC32C:")+8 }

func textOf(h hash.Hash32) string {
	return "CRC32C:" + base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, h.Sum32()))
}

// Same returns nil if both stores hold the object with the same size and
// checksum, ErrDiffers if they hold others, ErrNotFound if one has none. It
// reads the bytes only where the stores have no checksums that can be compared.
func Same(ctx context.Context, a, b objstore.Store, key string) error {
	infoA, sumA, err := sumOf(ctx, a, key)
	if err != nil {
		return err
	}
	infoB, sumB, err := sumOf(ctx, b, key)
	switch {
	case err != nil:
		return err
	case infoA.Size != infoB.Size:
		return fmt.Errorf("object %q has %d and %d bytes: %w", key, infoA.Size, infoB.Size, ErrDiffers)
	case sumA != "" && sumA == sumB:
		return nil
	case isWhole(sumA) && isWhole(sumB):
		return fmt.Errorf("object %q has checksums %s and %s: %w", key, sumA, sumB, ErrDiffers)
	}
	return SameBytes(ctx, a, b, key)
}

// SameBytes is Same by reading all bytes of both.
func SameBytes(ctx context.Context, a, b objstore.Store, key string) error {
	sumA, err := read(ctx, a, key)
	if err != nil {
		return err
	}
	sumB, err := read(ctx, b, key)
	if err == nil && sumA != sumB {
		err = fmt.Errorf("object %q has checksums %s and %s: %w", key, sumA, sumB, ErrDiffers)
	}
	return err
}

func read(ctx context.Context, s objstore.Store, key string) (string, error) {
	body, err := s.Get(ctx, key, 0, -1)
	if err != nil {
		return "", err
	}
	sum := crc32.New(castagnoli)
	n, err := io.Copy(sum, body)
	return fmt.Sprintf("%s of %d bytes", textOf(sum), n), errors.Join(err, body.Close())
}

// open opens an object with its checksum, where the store keeps them.
func open(ctx context.Context, s objstore.Store, key string) (io.ReadCloser, objstore.Info, string, error) {
	if summer, ok := s.(objstore.Summer); ok {
		return summer.Open(ctx, key)
	}
	info, err := s.Stat(ctx, key)
	if err != nil {
		return nil, info, "", err
	}
	body, err := s.Get(ctx, key, 0, -1)
	return body, info, "", err
}

// sumOf asks for the checksum where the store keeps them.
func sumOf(ctx context.Context, s objstore.Store, key string) (objstore.Info, string, error) {
	if summer, ok := s.(objstore.Summer); ok {
		return summer.Sum(ctx, key)
	}
	info, err := s.Stat(ctx, key)
	return info, "", err
}

// Intact reads an object whole and compares it with the checksum and the size
// that its own store has of it; ErrDiffers if they are others.
func Intact(ctx context.Context, s objstore.Store, key string) error {
	body, info, want, err := open(ctx, s, key)
	if err != nil {
		return err
	}
	sum := crc32.New(castagnoli)
	n, err := io.Copy(sum, body)
	if err = errors.Join(err, body.Close()); err != nil {
		return err
	}
	if n != info.Size || isWhole(want) && want != textOf(sum) {
		return fmt.Errorf("object %q has %d bytes with checksum %s, not %d with %s: %w", key, n, textOf(sum), info.Size, want, ErrDiffers)
	}
	return nil
}
