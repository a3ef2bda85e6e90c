package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

// Config of a node, as the command line has checked it. With Redis and S3
// empty it is a whole Skein on its own.
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

	MemoryBytes int64 // of DuckDB; 60 % of the machine if zero
	Threads     int   // of DuckDB; one for each core if zero
	CacheBytes  int64 // of objects kept on disk; 10 GiB if zero

	QueriesMax    int           // that run at once; the coordinator's default if zero
	QueryBytesMax int64         // that one query keeps between its stages; likewise
	QueryTimeout  time.Duration // likewise
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
