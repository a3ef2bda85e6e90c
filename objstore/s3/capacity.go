package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"

	"skein/internal/fault"
)

// Capacity is the room on the drives of a server, before redundancy.
type Capacity struct {
	Free, Total int64 // bytes
}

// Share is the free part, 0 to 1; 1 of what has no room to tell of.
func (c Capacity) Share() float64 {
	if c.Total <= 0 {
		return 1
	}
	return float64(c.Free) / float64(c.Total)
}

const (
	storageInfoPath     = "/minio/admin/v3/storageinfo"
	storageInfoBytesMax = 16 << 20
)

// Capacity asks a MinIO how full it is. PermissionDenied if the access key has
// not the right admin:StorageInfo; Unimplemented if the server is no MinIO.
func (s *Store) Capacity(ctx context.Context) (c Capacity, err error) {
	defer s.metrics.observe("capacity", time.Now(), &err)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint+storageInfoPath, nil)
	if err != nil {
		return c, fault.Newf(fault.InvalidArgument, "object store %s: %w", s.endpoint, err)
	}
	nothing := sha256.Sum256(nil)
	request.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(nothing[:]))
	request = signer.SignV4(*request, s.options.AccessKey, s.options.SecretKey, "", s.options.Region)
	response, err := (&http.Client{Transport: s.transport}).Do(request)
	if err != nil {
		return c, s.classify(ctx, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, storageInfoBytesMax))
	switch {
	case err != nil:
		return c, s.classify(ctx, err)
	case response.StatusCode == http.StatusForbidden:
		return c, fault.Newf(fault.PermissionDenied, "object store %s does not tell its capacity: the access key has not the right admin:StorageInfo", s.endpoint)
	case response.StatusCode >= 500:
		return c, s.classifyStatus(minio.ErrorResponse{StatusCode: response.StatusCode}, fmt.Errorf("status %s", response.Status))
	case response.StatusCode != http.StatusOK:
		return c, fault.Newf(fault.Unimplemented, "object store %s does not tell its capacity: status %s", s.endpoint, response.Status)
	}
	return parseCapacity(s.endpoint, body)
}

func parseCapacity(endpoint string, body []byte) (c Capacity, err error) {
	var info struct {
		Disks []struct {
			State     string `json:"state"`
			Total     int64  `json:"totalspace"`
			Available int64  `json:"availspace"`
		}
	}
	if err := json.Unmarshal(body, &info); err != nil {
		return c, fault.Newf(fault.Unimplemented, "object store %s does not tell its capacity in a known form: %w", endpoint, err)
	}
	for _, d := range info.Disks {
		if d.State == "" || strings.EqualFold(d.State, "ok") {
			c.Free, c.Total = c.Free+d.Available, c.Total+d.Total
		}
	}
	return c, nil
}
