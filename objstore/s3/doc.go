// Package s3 keeps objects in one bucket of MinIO or another S3 server.
//
// It owns the requests to one endpoint: connections, retries, timeouts and the
// classes of their errors. It does not know what is in an object, and no
// message of it holds an access key or a secret.
package s3
