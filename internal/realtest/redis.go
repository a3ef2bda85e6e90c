package realtest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
)

// Redis starts an empty redis-server and returns its URL, such as
// redis://127.0.0.1:36379. It is stopped at the end of t.
func Redis(t testing.TB) (url string) {
	t.Helper()
	return "redis://" + StartRedis(t).Addr
}

// StartRedis is Redis for tests that also kill the server and start it again;
// what it held is lost with it.
func StartRedis(t testing.TB) *Server {
	t.Helper()
	path := binary(t, "redis-server", "install it, for example: apt-get install -y redis-server")
	dir := t.TempDir()
	return launch(&Server{
		t:    t,
		name: "redis-server",
		argv: func(addr string) []string {
			host, port, _ := net.SplitHostPort(addr)
			return []string{path, "--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", dir}
		},
		ready: redisReady,
	})
}

// redisReady asks the server at s.Addr who it is: a stranger that took the
// port must not pass for ours.
func redisReady(ctx context.Context, s *Server) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // a TCP connection takes it
	}
	if _, err := fmt.Fprint(conn, "INFO server\r\n"); err != nil {
		return err
	}
	pid := fmt.Sprintf("process_id:%d", s.cmd.Process.Pid)
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		switch line := strings.TrimSpace(lines.Text()); {
		case line == pid:
			return nil
		case strings.HasPrefix(line, "process_id:"), strings.HasPrefix(line, "-"):
			return fmt.Errorf("%s answers %q, not %q", s.Addr, line, pid)
		}
	}
	return fmt.Errorf("%s closed the connection: %w", s.Addr, net.ErrClosed)
}
