package launch

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"path/filepath"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// MinIOServer is a running MinIO with its root credentials.
type MinIOServer struct {
	*Process
	Endpoint  string // such as http://127.0.0.1:39000
	AccessKey string
	SecretKey string
}

// MinIO runs an empty MinIO on a free port of the host. program is its name or
// path, minio if empty, and hint says what to do where it is missing. dir is
// the server's own.
func MinIO(ctx context.Context, program, hint, host, dir string) (*MinIOServer, error) {
	if program == "" {
		program = "minio"
	}
	path, err := find(program, hint+"; go install github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c builds it")
	if err != nil {
		return nil, err
	}
	m := &MinIOServer{AccessKey: "skein-test", SecretKey: rand.Text()}
	m.Process, err = Launch(ctx, Spec{
		Name:   "minio",
		Output: filepath.Join(dir, "minio.log"),
		Argv: func(addr string) []string {
			// The console cannot be turned off in all versions; a port of its own each.
			console, err := FreeAddr(ctx, host)
			if err != nil {
				console = net.JoinHostPort(host, "0")
			}
			return []string{path, "server", "--quiet", "--address", addr, "--console-address", console, filepath.Join(dir, "data")}
		},
		Env: []string{
			"MINIO_ROOT_USER=" + m.AccessKey, "MINIO_ROOT_PASSWORD=" + m.SecretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "HOME=" + dir,
		},
		Ready: m.ready,
	}, host)
	if err != nil {
		return nil, err
	}
	m.Endpoint = "http://" + m.Addr
	return m, nil
}

// ready makes a signed request: a stranger that took the port does not know
// the random secret.
func (m *MinIOServer) ready(ctx context.Context, p *Process) error {
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	client, err := minio.New(p.Addr, &minio.Options{
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
