package realtest

import (
	"os"
	"testing"

	"skein/internal/launch"
)

// minioEnv names the MinIO binary; unset means minio in PATH.
const minioEnv = "SKEIN_TEST_MINIO"

// MinIOServer is a running MinIO with its root credentials.
type MinIOServer struct {
	*Server
	Endpoint  string // such as http://127.0.0.1:39000
	AccessKey string
	SecretKey string
}

// MinIO starts an empty MinIO server and returns its endpoint, such as
// http://127.0.0.1:39000, and its root credentials. It is stopped at the end
// of t.
func MinIO(t testing.TB) (endpoint, accessKey, secretKey string) {
	t.Helper()
	s := StartMinIO(t)
	return s.Endpoint, s.AccessKey, s.SecretKey
}

// StartMinIO is MinIO for tests that also kill the server and start it again;
// its objects stay.
func StartMinIO(t testing.TB) *MinIOServer {
	t.Helper()
	m, err := launch.MinIO(t.Context(), os.Getenv(minioEnv), "name the MinIO server in "+minioEnv+" or put it in PATH", host, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &MinIOServer{Server: started(t, m.Process, nil), Endpoint: m.Endpoint, AccessKey: m.AccessKey, SecretKey: m.SecretKey}
}
