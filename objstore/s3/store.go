package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sync/errgroup"

	"skein/internal/fault"
	"skein/objstore"
)

// Store keeps objects in one bucket. It is an objstore.Store.
type Store struct {
	client    *minio.Core
	transport *http.Transport
	endpoint  string // scheme://host, as errors name it
	options   Options
	metrics   *metrics
}

// Open connects to the endpoint and makes the bucket if it is missing. The
// caller closes the store.
func Open(ctx context.Context, options Options) (*Store, error) {
	s, err := New(options)
	if err != nil {
		return nil, err
	}
	if err := s.MakeBucket(ctx); err != nil {
		s.transport.CloseIdleConnections()
		return nil, err
	}
	return s, nil
}

// New is Open for an endpoint that may not answer now: nothing is sent to it,
// and its bucket is taken to be there. The caller closes the store.
func New(options Options) (*Store, error) {
	options, endpoint, err := options.complete()
	if err != nil {
		return nil, err
	}
	s := &Store{
		transport: newTransport(options),
		endpoint:  endpoint.Scheme + "://" + endpoint.Host,
		options:   options,
		metrics:   newMetrics(options.Registerer),
	}
	s.client, err = minio.NewCore(endpoint.Host, &minio.Options{
		Creds:           credentials.NewStaticV4(options.AccessKey, options.SecretKey, ""),
		Secure:          endpoint.Scheme == "https",
		Region:          options.Region,
		Transport:       s.transport,
		MaxRetries:      options.AttemptsMax,
		TrailingHeaders: true, // else the client refuses our checksums
	})
	if err != nil {
		return nil, fault.Newf(fault.InvalidArgument, "object store %s: %w", s.endpoint, err)
	}
	return s, nil
}

// Close gives back idle connections. No other method may follow.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// MakeBucket makes the bucket if it is missing.
func (s *Store) MakeBucket(ctx context.Context) (err error) {
	defer s.metrics.observe("make_bucket", time.Now(), &err)
	found, err := s.client.BucketExists(ctx, s.options.Bucket)
	if err != nil {
		return s.bucketError(ctx, err)
	}
	if found {
		return nil
	}
	err = s.client.MakeBucket(ctx, s.options.Bucket, minio.MakeBucketOptions{Region: s.options.Region})
	if code := minio.ToErrorResponse(err).Code; code == minio.BucketAlreadyOwnedByYou {
		return nil // another node was faster
	}
	return s.bucketError(ctx, err)
}

// Ping asks the server for the bucket.
func (s *Store) Ping(ctx context.Context) (err error) {
	defer s.metrics.observe("ping", time.Now(), &err)
	found, err := s.client.BucketExists(ctx, s.options.Bucket)
	if err == nil && !found {
		err = errNoBucket
	}
	return s.bucketError(ctx, err)
}

// Warm opens connections until there are ConnsMin, and tries them all: called
// again within a minute it keeps them from being closed.
func (s *Store) Warm(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for range s.options.ConnsMin {
		group.Go(func() error { return s.Ping(ctx) })
	}
	return group.Wait()
}

// Stat implements objstore.Store.
func (s *Store) Stat(ctx context.Context, key string) (_ objstore.Info, err error) {
	if err := objstore.ValidateKey(key); err != nil {
		return objstore.Info{}, err
	}
	defer s.metrics.observe("stat", time.Now(), &err)
	info, err := s.client.StatObject(ctx, s.options.Bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return objstore.Info{}, s.objectError(ctx, key, err)
	}
	return objstore.Info{Key: key, Size: info.Size, Modified: info.LastModified}, nil
}

// Sum implements objstore.Summer.
func (s *Store) Sum(ctx context.Context, key string) (_ objstore.Info, sum string, err error) {
	if err := objstore.ValidateKey(key); err != nil {
		return objstore.Info{}, "", err
	}
	defer s.metrics.observe("stat", time.Now(), &err)
	info, err := s.client.StatObject(ctx, s.options.Bucket, key, minio.StatObjectOptions{Checksum: true})
	if err != nil {
		return objstore.Info{}, "", s.objectError(ctx, key, err)
	}
	return objstore.Info{Key: key, Size: info.Size, Modified: info.LastModified}, sumOf(info), nil
}

// Open implements objstore.Summer.
func (s *Store) Open(ctx context.Context, key string) (_ io.ReadCloser, _ objstore.Info, sum string, err error) {
	if err := objstore.ValidateKey(key); err != nil {
		return nil, objstore.Info{}, "", err
	}
	defer s.metrics.observe("get", time.Now(), &err)
	r := &reader{ctx: ctx, s: s, key: key, left: -1, sums: true}
	if err := r.open(); err != nil {
		return nil, objstore.Info{}, "", err
	}
	return r, objstore.Info{Key: key, Size: r.info.Size, Modified: r.info.LastModified}, sumOf(r.info), nil
}

func sumOf(info minio.ObjectInfo) string {
	if info.ChecksumCRC32C == "" {
		return ""
	}
	return "CRC32C:" + info.ChecksumCRC32C
}

// Endpoint is the URL without path, for messages.
func (s *Store) Endpoint() string { return s.endpoint }

// Delete implements objstore.Store.
func (s *Store) Delete(ctx context.Context, key string) (err error) {
	if err := objstore.ValidateKey(key); err != nil {
		return err
	}
	defer s.metrics.observe("delete", time.Now(), &err)
	err = s.client.RemoveObject(ctx, s.options.Bucket, key, minio.RemoveObjectOptions{})
	err = s.objectError(ctx, key, err)
	if errors.Is(err, objstore.ErrNotFound) {
		return nil
	}
	return err
}

// List implements objstore.Store. It asks for a thousand objects at a time.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		if !objstore.MayBegin(prefix) && ctx.Err() == nil {
			return // the server would call it an error
		}
		var err error
		defer s.metrics.observe("list", time.Now(), &err)
		options := minio.ListObjectsOptions{Prefix: listable(prefix), Recursive: true, FetchOwner: new(bool)}
		for object := range s.client.ListObjectsIter(ctx, s.options.Bucket, options) {
			if err = object.Err; err != nil {
				break
			}
			if !strings.HasPrefix(object.Key, prefix) {
				continue
			}
			if !yield(objstore.Info{Key: object.Key, Size: object.Size, Modified: object.LastModified}, nil) {
				return
			}
		}
		if err == nil {
			err = ctx.Err() // the iterator ends silently
		}
		if err != nil {
			err = fmt.Errorf("list objects %q: %w", prefix, s.classify(ctx, err))
			yield(objstore.Info{}, err)
		}
	}
}

// listable is what to ask the server for to see all keys that begin with
// prefix: MinIO refuses a last part of "." or "..", though keys may begin so.
func listable(prefix string) string {
	if dir, last := path.Split(prefix); last == "." || last == ".." {
		return dir
	}
	return prefix
}

// Get implements objstore.Store. A broken connection is taken up again where
// it broke.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) (_ io.ReadCloser, err error) {
	if err := objstore.ValidateKey(key); err != nil {
		return nil, err
	}
	if err := objstore.ValidateRange(key, offset, length); err != nil {
		return nil, err
	}
	if length == 0 { // S3 has no empty range
		if _, err := s.Stat(ctx, key); err != nil {
			return nil, err
		}
		return http.NoBody, nil
	}
	defer s.metrics.observe("get", time.Now(), &err)
	r := &reader{ctx: ctx, s: s, key: key, offset: offset, left: length}
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}
