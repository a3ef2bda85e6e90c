package launch

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
)

// Redis runs redis-server without persistence on a free port of the host. dir
// is its own.
func Redis(ctx context.Context, host, dir string) (*Process, error) {
	path, err := find("redis-server", "install it, for example: apt-get install -y redis-server")
	if err != nil {
		return nil, err
	}
	return Launch(ctx, Spec{
		Name:   "redis-server",
		Output: filepath.Join(dir, "redis-server.log"),
		Argv: func(addr string) []string {
			host, port, _ := net.SplitHostPort(addr)
			return []string{path, "--bind", host, "--port", port, "--protected-mode", "no", "--save", "", "--appendonly", "no", "--dir", dir}
		},
		Ready: redisReady,
	}, host)
}

// redisReady asks the server at p.Addr who it is: a stranger that took the
// port must not pass for ours.
func redisReady(ctx context.Context, p *Process) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", p.Addr)
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
	pid := fmt.Sprintf("process_id:%d", p.PID())
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		switch line := strings.TrimSpace(lines.Text()); {
		case line == pid:
			return nil
		case strings.HasPrefix(line, "process_id:"), strings.HasPrefix(line, "-"):
			return fmt.Errorf("%s answers %q, not %q", p.Addr, line, pid)
		}
	}
	return fmt.Errorf("%s closed the connection: %w", p.Addr, net.ErrClosed)
}
