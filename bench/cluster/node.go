package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"skein/internal/fault"
	"skein/internal/launch"
)

const (
	stopWait      = 20 * time.Second
	answerTimeout = 10 * time.Second
	metricsMax    = 4 << 20 // bytes
)

// Node is one running skein serve. One goroutine uses it.
type Node struct {
	GRPC, HTTP string // host:port

	process *launch.Process
	dir     string
}

type nodeSpec struct {
	program, dir string
	site         Site
	threads      int
	flags, env   []string
}

// DataDir is where Single's node has its data.
func DataDir(dir string) string { return filepath.Join(dir, "data") }

// Single starts a node on its own, with its catalog and its objects in dir,
// which stays when it is stopped.
func Single(ctx context.Context, program, dir string, threads int) (*Node, error) {
	n, err := startNode(ctx, nodeSpec{program: program, dir: dir, site: Site{Host: loopback}, threads: threads})
	if n != nil {
		n.dir = ""
	}
	return n, err
}

func startNode(ctx context.Context, s nodeSpec) (*Node, error) {
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return nil, fault.Newf(fault.InvalidArgument, "directory of a node: %w", err)
	}
	n := &Node{dir: s.dir}
	output := filepath.Join(s.dir, "log")
	any := net.JoinHostPort(s.site.Host, "0")
	argv := []string{s.program, "serve", "--data-dir", DataDir(s.dir), "--grpc-addr", any, "--http-addr", any, "--insecure", "--log-format", "json"}
	if s.threads > 0 {
		argv = append(argv, "--threads", strconv.Itoa(s.threads))
	}
	argv = append(argv, s.flags...)
	n.process = launch.New(launch.Spec{
		Name: "skein serve", Output: output, Namespace: s.site.Namespace, Env: s.env, OmitEnv: "SKEIN_",
		Argv: func(string) []string { return argv },
		Ready: func(ctx context.Context, _ *launch.Process) error {
			if err := n.readAddresses(output); err != nil {
				return err
			}
			_, err := n.get(ctx, "/readyz")
			return err
		},
	}, any)
	if err := n.process.Start(ctx); err != nil {
		return nil, err
	}
	return n, nil
}

// readAddresses finds the bound addresses in the log.
func (n *Node) readAddresses(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var entry struct{ Msg, GRPC, HTTP string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "serving" {
			n.GRPC, n.HTTP = entry.GRPC, entry.HTTP
			return nil
		}
	}
	return fault.New(fault.Unavailable, "it does not tell its addresses")
}

// Stop ends the node and removes its directory.
func (n *Node) Stop() {
	n.process.Stop(stopWait)
	if n.dir != "" {
		_ = os.RemoveAll(n.dir) // the directory above goes in the end
	}
}

func (n *Node) get(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.HTTP+path, nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // without the environment's proxy
	res, err := client.Do(req)
	if err != nil {
		return "", fault.Wrap(fault.Unavailable, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, metricsMax))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fault.Newf(fault.Unavailable, "%s: %s", path, res.Status)
	}
	return string(text), err
}

// Use is what a node has used since it was started.
type Use struct {
	CPU       time.Duration // of its process, in steps of some milliseconds
	Read      int64         // bytes from the object store
	Results   int64         // bytes of rows from other nodes, on their way to the client
	Exchanged int64         // bytes of rows from other nodes, for its own fragments
	Resident  int64         // bytes of its memory now, not a sum
}

// Less is what was used since before.
func (u Use) Less(before Use) Use {
	return Use{u.CPU - before.CPU, u.Read - before.Read, u.Results - before.Results, u.Exchanged - before.Exchanged, u.Resident - before.Resident}
}

// Use asks the node.
func (n *Node) Use(ctx context.Context) (Use, error) {
	text, err := n.get(ctx, "/metrics")
	if err != nil {
		return Use{}, fmt.Errorf("metrics of the node at %s: %w", n.HTTP, err)
	}
	return readUse(text)
}

// The counters of Use.
const (
	metricCPU       = `process_cpu_seconds_total`
	metricRead      = `skein_objstore_bytes_total{direction="received"}`
	metricResults   = `skein_node_received_bytes_total{kind="result"}`
	metricResident  = `process_resident_memory_bytes`
	metricExchanged = `skein_node_received_bytes_total{kind="exchange"}`
)

// readUse reads the counters out of the text form of metrics. One that has not
// counted yet may be missing, but for the CPU's.
func readUse(text string) (Use, error) {
	found := map[string]float64{}
	for line := range strings.Lines(text) {
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			if v, err := strconv.ParseFloat(strings.TrimSpace(line[i+1:]), 64); err == nil {
				found[line[:i]] = v
			}
		}
	}
	cpu, ok := found[metricCPU]
	if _, known := found[metricResults]; !ok || !known {
		return Use{}, fault.Newf(fault.FailedPrecondition, "the node does not tell %s and %s: give the skein of this version", metricCPU, metricResults)
	}
	return Use{
		CPU:  time.Duration(cpu * float64(time.Second)),
		Read: int64(found[metricRead]), Results: int64(found[metricResults]), Exchanged: int64(found[metricExchanged]),
		Resident: int64(found[metricResident]),
	}, nil
}
