package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"time"

	"github.com/minio/minio-go/v7"

	"skein/internal/fault"
	"skein/objstore"
)

// Put implements objstore.Store. An object of up to two parts goes out as one
// request, a larger one in parts that the server joins at the end; what is
// being sent is held in memory, so every request can be tried again.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, size int64) (err error) {
	if err := objstore.ValidateKey(key); err != nil {
		return err
	}
	if err := s.validateSize(key, size); err != nil {
		return err
	}
	defer s.metrics.observe("put", time.Now(), &err)
	source := objstore.Exactly(ctx, key, r, size)
	if size <= 2*s.options.PartBytes {
		err = s.putWhole(ctx, key, source, size)
	} else {
		err = s.putParts(ctx, key, source, size)
	}
	if source.Err() != nil {
		return source.Err()
	}
	if err != nil {
		return s.objectError(ctx, key, err)
	}
	s.metrics.sent(size)
	return nil
}

func (s *Store) validateSize(key string, size int64) error {
	if size < 0 {
		return fault.Newf(fault.InvalidArgument, "object %q: size %d must be 0 or more", key, size)
	}
	if most := s.options.PartBytes * partsMax; size > most {
		return fault.Newf(fault.TooLarge, "object %q: %d bytes; the most is %d, with larger parts more", key, size, most)
	}
	return nil
}

func (s *Store) putWhole(ctx context.Context, key string, r io.Reader, size int64) error {
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return err // of an empty object whose reader is not
	}
	// The sum goes ahead as a header: the client's trailing one is wrong when
	// a request is tried again.
	sum := crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))
	_, err := s.client.Client.PutObject(ctx, s.options.Bucket, key, bytes.NewReader(body), size, minio.PutObjectOptions{
		DisableMultipart: true,
		// An empty signed stream has no Content-Length, which S3 demands.
		DisableContentSha256: size == 0,
		ContentType:          contentType,
		UserMetadata: map[string]string{
			minio.ChecksumCRC32C.Key(): base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum)),
		},
	})
	return err
}

func (s *Store) putParts(ctx context.Context, key string, r io.Reader, size int64) error {
	threads := min(int64(s.options.UploadPartsMax), (size-1)/s.options.PartBytes+1)
	_, err := s.client.Client.PutObject(ctx, s.options.Bucket, key, r, size, minio.PutObjectOptions{
		PartSize:              uint64(s.options.PartBytes),
		NumThreads:            uint(threads),
		ConcurrentStreamParts: true,
		Checksum:              minio.ChecksumCRC32C,
		ContentType:           contentType,
	})
	return err
}

const contentType = "application/octet-stream"
