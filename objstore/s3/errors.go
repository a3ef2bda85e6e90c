package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/minio/minio-go/v7"

	"skein/internal/fault"
	"skein/objstore"
)

var errNoBucket = minio.ErrorResponse{Code: minio.NoSuchBucket, Message: "no such bucket", StatusCode: http.StatusNotFound}

func (s *Store) objectError(ctx context.Context, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("object %q: %w", key, s.classify(ctx, err))
}

func (s *Store) bucketError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("bucket %q: %w", s.options.Bucket, s.classify(ctx, err))
}

// classify gives an error of the client its class and names the endpoint.
func (s *Store) classify(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var response minio.ErrorResponse
	if !errors.As(err, &response) {
		return fault.Newf(fault.Unavailable, "object store %s does not answer: %w", s.endpoint, err)
	}
	switch response.Code {
	case minio.NoSuchKey:
		return objstore.ErrNotFound
	case minio.NoSuchBucket:
		return fault.Newf(fault.FailedPrecondition, "object store %s has no bucket %q; make it or restart: %w", s.endpoint, s.options.Bucket, err)
	case "InvalidAccessKeyId", "SignatureDoesNotMatch":
		return fault.Newf(fault.PermissionDenied, "object store %s refuses the access key or secret key; check both", s.endpoint)
	case "XMinioStorageFull", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded":
		return fault.Newf(fault.ResourceExhausted, "object store %s is full: %w", s.endpoint, err)
	case "KeyTooLongError", "XMinioInvalidObjectName", "InvalidObjectName":
		return fmt.Errorf("%w: object store %s refuses it: %w", objstore.ErrInvalidKey, s.endpoint, err)
	case "XMinioObjectExistsAsDirectory", "XMinioParentIsObject":
		return fault.Newf(fault.FailedPrecondition, "object store %s cannot keep both an object and objects below it; use another key: %w", s.endpoint, err)
	case "RequestTimeTooSkewed":
		return fault.Newf(fault.FailedPrecondition, "object store %s has another time than this machine; set the clocks: %w", s.endpoint, err)
	}
	return s.classifyStatus(response, err)
}

func (s *Store) classifyStatus(response minio.ErrorResponse, err error) error {
	switch status := response.StatusCode; {
	case status == http.StatusNotFound && response.Code == "":
		return objstore.ErrNotFound
	case status == http.StatusForbidden || status == http.StatusUnauthorized || response.Code == minio.AccessDenied:
		return fault.Newf(fault.PermissionDenied, "object store %s denies access to bucket %q; check the rights of the access key: %w", s.endpoint, s.options.Bucket, err)
	case status == http.StatusInsufficientStorage:
		return fault.Newf(fault.ResourceExhausted, "object store %s is full: %w", s.endpoint, err)
	case status == http.StatusRequestEntityTooLarge || response.Code == "EntityTooLarge":
		return fault.Newf(fault.TooLarge, "object store %s refuses the size: %w", s.endpoint, err)
	case status >= 400 && status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout:
		return fault.Newf(fault.FailedPrecondition, "object store %s refuses the request (%s): %w", s.endpoint, response.Code, err)
	}
	return fault.Newf(fault.Unavailable, "object store %s cannot answer now (%s): %w", s.endpoint, response.Code, err)
}
