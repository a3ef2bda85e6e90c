package gateway_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"skein/gateway"
	"skein/gateway/auth"
)

const authFile = `
users:
  - {name: ann, password: ann-secret, role: admin}
  - {name: wim, password: wim-secret, role: write}
  - {name: ray, password: ray-secret, role: read}
tokens:
  - {name: collector, token: collector-token, role: write}
`

func loadAuth(t *testing.T) *auth.Auth {
	t.Helper()
	path := filepath.Join(t.TempDir(), "auth.yaml")
	if err := os.WriteFile(path, []byte(authFile), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := auth.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAuthOverHTTP(t *testing.T) {
	const (
		nobody    = "X-None: 1"
		wrong     = "Authorization: Basic YW5uOndyb25n" // ann:wrong
		read      = "Authorization: Basic cmF5OnJheS1zZWNyZXQ="
		write     = "Authorization: Basic d2ltOndpbS1zZWNyZXQ="
		admin     = "Authorization: Basic YW5uOmFubi1zZWNyZXQ="
		token     = "Authorization: Bearer collector-token"
		badToken  = "Authorization: Bearer collector-tokem"
		badScheme = "Authorization: Digest x"
	)
	f := &fake{rows: answering(1)}
	s := serve(t, f, gateway.HandlerOptions{Auth: loadAuth(t), Registry: prometheus.NewRegistry()})
	for _, tc := range []struct {
		method, path, body string
		needs              int // 0 read, 1 write, 2 admin, -1 none
	}{
		{"POST", "/v1/query", selectOne, 0},
		{"POST", "/v1/query?format=csv", selectOne, 0},
		{"GET", "/v1/tables", "", 0},
		{"GET", "/v1/tables/users", "", 0},
		{"GET", "/v1/health", "", 0},
		{"GET", "/v1/stats", "", 0},
		{"GET", "/v1/nodes", "", 0},
		{"GET", "/metrics", "", 0},
		{"GET", "/openapi.json", "", 0},
		{"GET", "/", "", 0},
		{"POST", "/v1/data", line("users", 1), 1},
		{"POST", "/v1/tables", `{"table_name":"t"}`, 2},
		{"DELETE", "/v1/tables/users", "", 2},
		{"POST", "/v1/query", `{"sql":"DROP TABLE t"}`, 2},
		{"GET", "/healthz", "", -1},
		{"GET", "/readyz", "", -1},
	} {
		for credentials, role := range map[string]int{nobody: -1, wrong: -2, badToken: -2, badScheme: -2, read: 0, write: 1, token: 1, admin: 2} {
			f.calls, f.records = nil, nil
			got := send(t, s, tc.method, tc.path, tc.body, credentials)
			want := 200
			switch {
			case tc.needs < 0:
			case role < 0:
				want = 401
			case role < tc.needs:
				want = 403
			}
			if got.status != want {
				t.Errorf("%s %s %q with %s: %d, want %d: %s", tc.method, tc.path, tc.body, credentials, got.status, want, got.body)
			}
			if want == 200 {
				continue
			}
			code, _, _ := asError(t, got)
			if want == 401 && (code != "UNAUTHENTICATED" || got.header.Get("WWW-Authenticate") != auth.Challenge) {
				t.Errorf("%s: %s %v", tc.path, code, got.header)
			}
			for _, c := range f.calls {
				if c != "Prepare DROP TABLE t" {
					t.Errorf("%s %s with %s reached the coordinator: %s", tc.method, tc.path, credentials, c)
				}
			}
			if len(f.records) > 0 {
				t.Errorf("%s stored a record", credentials)
			}
		}
	}
	if got := send(t, s, "GET", "/v1/nothing", "", nobody); got.status != 401 {
		t.Errorf("unknown path: %d", got.status)
	}
	if got := send(t, s, "GET", "/v1/nothing", "", read); got.status != 404 {
		t.Errorf("unknown path: %d", got.status)
	}
}
