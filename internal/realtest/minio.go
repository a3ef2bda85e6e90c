package realtest

import (
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
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
	name := os.Getenv(minioEnv)
	if name == "" {
		name = "minio"
	}
	path := binary(t, name, "name the MinIO server in "+minioEnv+" or put it in PATH; "+
		"go install github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c builds it")
	dir := t.TempDir()
	m := &MinIOServer{AccessKey: "skein-test", SecretKey: rand.Text()}
	m.Server = &Server{
		t:    t,
		name: "minio",
		argv: func(addr string) []string {
			console := freeAddr(t)
			return []string{path, "server", "--quiet", "--address", addr, "--console-address", console, dir}
		},
		env: []string{
			"MINIO_ROOT_USER=" + m.AccessKey, "MINIO_ROOT_PASSWORD=" + m.SecretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "HOME=" + dir,
		},
		ready: m.ready,
	}
	launch(m.Server)
	m.Endpoint = "http://" + m.Addr
	return m
}

// ready makes a signed request: a stranger that took the port does not know
// the random secret.
func (m *MinIOServer) ready(ctx context.Context, s *Server) error {
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	client, err := minio.New(s.Addr, &minio.Options{
		Creds:      credentials.NewStaticV4(m.AccessKey, m.SecretKey, ""),
		Transport:  transport,
		MaxRetries: 1,
	})
	if err != nil {
		return err
	}
	_, err = client.ListBuckets(ctx)
	return err
}
