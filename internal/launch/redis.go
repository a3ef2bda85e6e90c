package launch

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// Redis runs redis-server without persistence on a free port of the host. dir
// is its own; extra are further arguments.
func Redis(ctx context.Context, host, dir string, extra ...string) (*Process, error) {
	path, err := find("redis-server", "install it, for example: apt-get install -y redis-server")
	if err != nil {
		return nil, err
	}
	return Launch(ctx, Spec{
		Name:   "redis-server",
		Output: filepath.Join(dir, "redis-server.log"),
		Argv: func(addr string) []string {
			host, port, _ := net.SplitHostPort(addr)
			return append([]string{path, "--bind", host, "--port", port, "--protected-mode", "no", "--save", "", "--appendonly", "no", "--dir", dir}, extra...)
		},
		Ready: redisReady,
	}, host)
}

// RedisSentinel runs a sentinel that watches a master by the name; quorum of
// them see to its replacement after it was silent for about a second. dir is
// its own.
func RedisSentinel(ctx context.Context, host, dir, name, master string, quorum int) (*Process, error) {
	path, err := find("redis-server", "install it, for example: apt-get install -y redis-server")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "sentinel.conf")
	return Launch(ctx, Spec{
		Name:   "redis-sentinel",
		Output: filepath.Join(dir, "redis-sentinel.log"),
		Argv: func(addr string) []string {
			host, port, _ := net.SplitHostPort(addr)
			if _, err := os.Stat(file); err != nil { // it writes there what it learns
				masterHost, masterPort, _ := net.SplitHostPort(master)
				text := fmt.Sprintf("bind %s\nport %s\nprotected-mode no\nsentinel monitor %s %s %s %d\n"+
					"sentinel down-after-milliseconds %[3]s 1000\nsentinel failover-timeout %[3]s 3000\n", host, port, name, masterHost, masterPort, quorum)
				_ = os.WriteFile(file, []byte(text), 0o600) // or it does not start
			}
			return []string{path, file, "--sentinel", "--dir", dir}
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
