package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"skein/internal/fault"
	"skein/internal/launch"
)

// peerServers are other servers of Flight SQL that read the same Parquet files.
type peerServers struct {
	o   Options
	all []*peerServer
	dir string
}

type peerServer struct {
	StreamPeer
	sql     string
	process *launch.Process
	server  *server
}

// startPeers starts those that are in the directory of programs. One that does
// not start tells why in its report.
func startPeers(ctx context.Context, o Options, files []string) *peerServers {
	p := &peerServers{o: o}
	if o.PeerDir == "" {
		return p
	}
	if len(files) != 1 {
		p.all = []*peerServer{{StreamPeer: StreamPeer{Name: "pysail and roapi", Error: "they are given one file, and lineitem is several"}}}
		return p
	}
	dir, err := os.MkdirTemp(o.TempDir, "skein-bench-")
	if err != nil {
		p.all = []*peerServer{{StreamPeer: StreamPeer{Name: "pysail and roapi", Error: err.Error()}}}
		return p
	}
	p.dir = dir
	p.all = []*peerServer{
		{StreamPeer: StreamPeer{Name: "pysail"}, sql: "SELECT * FROM parquet.`" + files[0] + "`"},
		{StreamPeer: StreamPeer{Name: "roapi"}, sql: "SELECT * FROM lineitem"},
	}
	argv := []func(host, port string) []string{
		func(host, port string) []string {
			return []string{filepath.Join(o.PeerDir, "sail"), "flight", "server", "--ip", host, "--port", port}
		},
		func(host, port string) []string {
			return []string{filepath.Join(o.PeerDir, "roapi"), "--addr-flight-sql", host + ":" + port, "--addr-http", host + ":0", "--addr-postgres", host + ":0",
				"--table", "lineitem=" + files[0] + ",format=parquet,use_memory_table=false"}
		},
	}
	for i, s := range p.all {
		if err := s.start(ctx, dir, argv[i]); err != nil {
			s.Error = err.Error()
			fmt.Fprintf(o.Progress, "%s: %v\n", s.Name, err)
		}
	}
	return p
}

func (s *peerServer) start(ctx context.Context, dir string, argv func(host, port string) []string) error {
	if _, err := exec.LookPath(argv("", "")[0]); err != nil {
		return invalid("%s: %w", s.Name, err)
	}
	addr, err := launch.FreeAddr(ctx, "127.0.0.1")
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	s.process = launch.New(launch.Spec{
		Name: s.Name, Output: filepath.Join(dir, s.Name+".log"),
		Argv: func(string) []string { return argv(host, port) },
		Ready: func(ctx context.Context, p *launch.Process) (err error) {
			s.server, err = dialServer(ctx, Options{Addr: p.Addr})
			return err
		},
	}, addr)
	return s.process.Start(ctx)
}

// read lets each read all rows once.
func (p *peerServers) read(ctx context.Context, want int64) {
	for _, s := range p.all {
		if s.Error != "" {
			continue
		}
		var got int64
		took, err := durationOf(func() (err error) {
			got, _, err = drained(ctx, s.server, s.sql)
			return err
		})
		if err == nil && got != want {
			err = fault.Newf(fault.Internal, "it gave %d rows of %d", got, want)
		}
		if err != nil {
			s.Error = err.Error()
			continue
		}
		s.MS = append(s.MS, millis(took))
		fmt.Fprintf(p.o.Progress, "read by %s: %.2f s\n", s.Name, took.Seconds())
	}
}

func (p *peerServers) report(skein []float64) []StreamPeer {
	var all []StreamPeer
	for _, s := range p.all {
		s.Ratio = medianRatio(s.MS, skein)
		all = append(all, s.StreamPeer)
	}
	return all
}

func (p *peerServers) stop() {
	for _, s := range p.all {
		if s.server != nil {
			s.server.close()
		}
		if s.process != nil {
			s.process.Kill()
		}
	}
	if p.dir != "" {
		os.RemoveAll(p.dir)
	}
}
