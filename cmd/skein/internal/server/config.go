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

	Redis         string        // URL, as redismeta.Open takes it
	RedisPoolSize int           // connections at most; the driver's default if zero
	RedisPoolMin  int           // connections kept open
	RedisTimeout  time.Duration // of one call with its retries; the driver's default if zero
	RedisReplicas int           // that must confirm a change; as far as they live if zero

	S3          []string // URLs of the endpoints of the primary object store
	S3AccessKey string
	S3SecretKey string
	Bucket      string

	S3Backup          []string // URLs of the endpoints of the backup; none if empty
	S3BackupAccessKey string   // those of S3 if empty
	S3BackupSecretKey string
	BackupBucket      string
	BackupGrace       time.Duration // before a deletion reaches the backup; 7 days if zero

	BackupHistory time.Duration // between copies of the index in the backup; 1h if zero

	TakeoverAfter time.Duration // silence of a node after which its replicated rows are taken over; never if zero

	Catalog CatalogConfig

	HealthEvery  time.Duration // between checks of the stores; 30s if zero
	AlertWebhook string        // URL that events are posted to; none if empty

	ParallelEndpoints bool // clients get an endpoint for each part of a result unless they ask for one

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

// CatalogConfig is how the catalog is looked after; zero values are the
// defaults of package catalog.
type CatalogConfig struct {
	SnapshotEvery time.Duration // never if negative
	SnapshotKeep  time.Duration
	SnapshotPlain bool // not compressed
	TidyEvery     time.Duration
	Grace         time.Duration // from the end of a day to the deletion of its files
	PollEvery     time.Duration
	LeadTTL       time.Duration
	CheckEvery    time.Duration // between checks of the catalog; never if negative
	CheckRepairs  bool          // they also mend what they find
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
