package server

import (
	"context"
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"skein/meta"
	"skein/meta/boltmeta"
	"skein/meta/redismeta"
	"skein/objstore"
	"skein/objstore/local"
	"skein/objstore/s3"
)

// closingObjects is an object store that is closed at the end.
type closingObjects interface {
	objstore.Store
	io.Closer
}

// openStores opens the catalog and the objects: in the data directory, or in
// Redis and S3. Above them all is the same.
func openStores(ctx context.Context, c Config, reg prometheus.Registerer, log *slog.Logger) (meta.Store, closingObjects, error) {
	if c.embedded() {
		catalog, err := boltmeta.Open(c.dir("catalog.db"), boltmeta.Options{})
		if err != nil {
			return nil, nil, err
		}
		objects, err := local.Open(c.dir("objects"), local.Options{})
		if err != nil {
			catalog.Close()
			return nil, nil, err
		}
		return catalog, objects, nil
	}
	catalog, err := redismeta.Open(ctx, c.Redis, redismeta.Options{})
	if err != nil {
		return nil, nil, err
	}
	objects, err := s3.Open(ctx, s3.Options{Endpoint: c.S3, AccessKey: c.S3AccessKey, SecretKey: c.S3SecretKey, Bucket: c.Bucket, Registerer: reg})
	if err != nil {
		catalog.Close()
		return nil, nil, err
	}
	log.Info("cluster", "s3", c.S3, "bucket", c.Bucket)
	return catalog, objects, nil
}
