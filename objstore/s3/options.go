package s3

import (
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/s3utils"
	"github.com/prometheus/client_golang/prometheus"

	"skein/internal/fault"
)

// Options of a Store. Endpoint and Bucket are needed.
type Options struct {
	Endpoint  string // URL without path, such as http://127.0.0.1:9000; https encrypts
	AccessKey string // with SecretKey empty too: no signature
	SecretKey string
	Bucket    string // made if it is missing
	Region    string // asked from the server if empty

	AttemptsMax    int           // tries of one request; 3 if zero
	DialTimeout    time.Duration // 5s if zero
	StallTimeout   time.Duration // a try without a byte sent or received for so long has failed; 30s if zero
	ConnsMax       int           // connections at once; 64 if zero
	ConnsMin       int           // connections that Warm opens and keeps; 4 if zero, at most ConnsMax
	PartBytes      int64         // part of a large upload, 5 MiB to 5 GiB; 8 MiB if zero
	UploadPartsMax int           // parts of one upload sent at once, each held in memory; 4 if zero

	Registerer prometheus.Registerer // nil: no metrics
}

const (
	partBytesMin = 5 << 20 // S3's own limits
	partBytesMax = 5 << 30
	partsMax     = 10_000
)

// complete checks o and fills in the defaults. The URL is the endpoint's.
func (o Options) complete() (Options, *url.URL, error) {
	endpoint, err := parseEndpoint(o.Endpoint)
	if err != nil {
		return o, nil, err
	}
	if err := s3utils.CheckValidBucketNameStrict(o.Bucket); err != nil {
		return o, nil, fault.Newf(fault.InvalidArgument, "bucket %q: %w", o.Bucket, err)
	}
	if (o.AccessKey == "") != (o.SecretKey == "") {
		return o, nil, fault.Newf(fault.InvalidArgument, "object store %s: give both access key and secret key, or none", o.Endpoint)
	}
	setDefault(&o.AttemptsMax, 3)
	setDefault(&o.DialTimeout, 5*time.Second)
	setDefault(&o.StallTimeout, 30*time.Second)
	setDefault(&o.ConnsMax, 64)
	setDefault(&o.ConnsMin, 4)
	o.ConnsMin = min(o.ConnsMin, o.ConnsMax)
	setDefault(&o.PartBytes, 8<<20)
	setDefault(&o.UploadPartsMax, 4)
	if o.AttemptsMax < 0 || o.DialTimeout < 0 || o.StallTimeout < 0 || o.ConnsMax < 0 || o.ConnsMin < 0 || o.UploadPartsMax < 0 {
		return o, nil, fault.Newf(fault.InvalidArgument, "object store %s: limits must not be negative", o.Endpoint)
	}
	if o.PartBytes < partBytesMin || o.PartBytes > partBytesMax {
		return o, nil, fault.Newf(fault.InvalidArgument,
			"object store %s: part of %d bytes; use %d to %d", o.Endpoint, o.PartBytes, partBytesMin, int64(partBytesMax))
	}
	return o, endpoint, nil
}

func setDefault[T int | int64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

func parseEndpoint(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.User != nil {
		// The text may hold a password, so it is not repeated.
		return nil, fault.New(fault.InvalidArgument, "object store endpoint: give a URL such as http://127.0.0.1:9000, without user and password")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fault.Newf(fault.InvalidArgument, "object store endpoint %q: give a URL such as http://127.0.0.1:9000, without path or query", endpoint)
	}
	return u, nil
}
