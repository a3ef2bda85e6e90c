package server

import (
	"context"
	"errors"
	"io"

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

// openStores opens the catalog, in Redis or in the data directory, and the
// objects, in S3 or in the data directory. Above them all is the same.
func openStores(ctx context.Context, c Config, reg prometheus.Registerer) (meta.Store, closingObjects, error) {
	catalog, err := openCatalog(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	objects, err := openObjects(ctx, c, reg)
	if err != nil {
		return nil, nil, errors.Join(err, catalog.Close())
	}
	return catalog, objects, nil
}

func openCatalog(ctx context.Context, c Config) (meta.Store, error) {
	if c.Redis == "" {
		return boltmeta.Open(c.dir("catalog.db"), boltmeta.Options{})
	}
	return redismeta.Open(ctx, c.Redis, redismeta.Options{})
}

func openObjects(ctx context.Context, c Config, reg prometheus.Registerer) (closingObjects, error) {
	if c.S3 == "" {
		return local.Open(c.DataDir, local.Options{}) // in DATA-DIR/objects
	}
	return s3.Open(ctx, s3.Options{Endpoint: c.S3, AccessKey: c.S3AccessKey, SecretKey: c.S3SecretKey, Bucket: c.Bucket, Registerer: reg})
}
