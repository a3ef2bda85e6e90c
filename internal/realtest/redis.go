package realtest

import (
	"testing"

	"skein/internal/launch"
)

// Redis starts an empty redis-server and returns its URL, such as
// redis://127.0.0.1:36379. It is stopped at the end of t.
func Redis(t testing.TB) (url string) {
	t.Helper()
	return "redis://" + StartRedis(t).Addr
}

// StartRedis is Redis for tests that also kill the server and start it again;
// what it held is lost with it, unless extra arguments such as --appendonly yes
// say otherwise.
func StartRedis(t testing.TB, extra ...string) *Server {
	t.Helper()
	p, err := launch.Redis(t.Context(), host, t.TempDir(), extra...)
	return started(t, p, err)
}
