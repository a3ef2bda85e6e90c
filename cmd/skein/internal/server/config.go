package server

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"

	"skein/coordinator"
	"skein/internal/fault"
)

// Config of a node. With Redis and S3 empty it is a whole Skein on its own.
type Config struct {
	DataDir       string
	GRPCAddr      string
	HTTPAddr      string
	AdvertiseAddr string   // told to other nodes; the gRPC address if empty
	Roles         []string // coordinator, worker; both if empty
	NodeID        string   // kept in the data directory if empty

	Redis       string // URL
	S3          string // URL
	S3AccessKey string
	S3SecretKey string
	Bucket      string

	AuthFile string
	TLSCert  string
	TLSKey   string
	Insecure bool // allows other addresses than loopback without AuthFile

	MemoryBytes int64 // of DuckDB; 60 % of the machine if zero
	Threads     int   // of DuckDB; one for each core if zero
	CacheBytes  int64 // of objects kept on disk; 10 GiB if zero
}

func (c *Config) embedded() bool { return c.Redis == "" && c.S3 == "" }

// Validate refuses what cannot work or would be unsafe.
func (c *Config) Validate() error {
	if (c.Redis == "") != (c.S3 == "") {
		return fault.New(fault.InvalidArgument, "a cluster needs both --redis and --s3; without either, everything is kept in the data directory")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return fault.New(fault.InvalidArgument, "--tls-cert and --tls-key go together")
	}
	for _, r := range c.Roles {
		if r != coordinator.RoleCoordinator && r != coordinator.RoleWorker {
			return fault.Newf(fault.InvalidArgument, "role %q is not known; there are coordinator and worker", r)
		}
	}
	if c.embedded() && len(c.Roles) > 0 && !slices.Contains(c.Roles, coordinator.RoleWorker) {
		return fault.New(fault.InvalidArgument, "a node on its own needs the role worker; give --redis and --s3 to join a cluster")
	}
	for flag, addr := range map[string]string{"--grpc-addr": c.GRPCAddr, "--http-addr": c.HTTPAddr} {
		if err := c.checkAddress(flag, addr); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkAddress(flag, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fault.Newf(fault.InvalidArgument, "%s %q: give host:port", flag, addr)
	}
	if isLoopback(host) || c.AuthFile != "" || c.Insecure {
		return nil
	}
	return fault.Newf(fault.InvalidArgument, "%s %s can be reached from other machines, and anyone there could read and drop all tables: give --auth-file, or --insecure if the network is trusted", flag, addr)
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (c *Config) dir(name string) string { return filepath.Join(c.DataDir, name) }

// nodeID is the given one, or the one that the data directory has kept since
// it was first used.
func (c *Config) nodeID() (string, error) {
	if c.NodeID != "" {
		return c.NodeID, nil
	}
	file := c.dir("node-id")
	text, err := os.ReadFile(file)
	if err == nil && strings.TrimSpace(string(text)) != "" {
		return strings.TrimSpace(string(text)), nil
	}
	id := "node-" + strings.ToLower(ulid.Make().String()[16:])
	if err := os.WriteFile(file, []byte(id+"\n"), 0o640); err != nil {
		return "", fmt.Errorf("data directory: %w", err)
	}
	return id, nil
}
