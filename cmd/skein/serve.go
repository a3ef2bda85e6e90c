package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"skein/cmd/skein/internal/config"
	"skein/cmd/skein/internal/server"
)

// serveCmd runs a server.
type serveCmd struct {
	Config string `help:"YAML file with values for these flags; its keys are the flags' names without dashes in front. Flags beat the environment, the environment beats the file." env:"SKEIN_CONFIG" placeholder:"FILE"`

	DataDir       string   `help:"Directory of everything this node keeps." default:"./skein-data" env:"SKEIN_DATA_DIR" placeholder:"DIR"`
	GRPCAddr      string   `name:"grpc-addr" help:"Where Flight SQL, gRPC and other nodes connect." default:"127.0.0.1:8815" env:"SKEIN_GRPC_ADDR" placeholder:"HOST:PORT"`
	HTTPAddr      string   `name:"http-addr" help:"Where REST, the console, /metrics, /healthz and /readyz are." default:"127.0.0.1:8080" env:"SKEIN_HTTP_ADDR" placeholder:"HOST:PORT"`
	AdvertiseAddr string   `help:"gRPC address that other nodes use to reach this one; --grpc-addr if not given." env:"SKEIN_ADVERTISE_ADDR" placeholder:"HOST:PORT"`
	Roles         []string `help:"What this node does: coordinator, worker or both." enum:"coordinator,worker" default:"coordinator,worker" env:"SKEIN_ROLES" placeholder:"ROLE"`
	NodeID        string   `help:"Name of this node, unique in the cluster; made once and kept in DATA-DIR/node-id if not given." env:"SKEIN_NODE_ID" placeholder:"NAME"`

	Redis           string   `help:"Redis that holds the cluster's metadata, a URL: redis://HOST:PORT/0; redis+sentinel://HOST,HOST,HOST/MASTER; redis+cluster://HOST,HOST,HOST; rediss for TLS. Without it the catalog is a file in DATA-DIR." env:"SKEIN_REDIS" placeholder:"URL" group:"Cluster:"`
	S3              []string `name:"s3" help:"URL of the object store, such as http://minio:9000; repeat it for several endpoints of one store. Without it objects are files in DATA-DIR." env:"SKEIN_S3" placeholder:"URL" group:"Cluster:"`
	S3Backup        []string `name:"s3-backup" help:"URL of the object store that stands in for --s3 and that backups go to; repeat it for several endpoints." env:"SKEIN_S3_BACKUP" placeholder:"URL" group:"Cluster:"`
	S3AccessKey     string   `name:"s3-access-key" help:"Access key of the object stores." env:"SKEIN_S3_ACCESS_KEY" placeholder:"TEXT" group:"Cluster:"`
	S3SecretKey     string   `name:"s3-secret-key" help:"Secret key. Other users of this machine can see a command line: prefer the environment or --s3-secret-key-file." env:"SKEIN_S3_SECRET_KEY" placeholder:"TEXT" group:"Cluster:"`
	S3SecretKeyFile string   `name:"s3-secret-key-file" help:"File that holds the secret key." env:"SKEIN_S3_SECRET_KEY_FILE" placeholder:"FILE" group:"Cluster:"`
	Bucket          string   `help:"Bucket of the data." default:"olap-data" env:"SKEIN_BUCKET" placeholder:"NAME" group:"Cluster:"`
	BackupBucket    string   `help:"Bucket of the backups." default:"olap-backup" env:"SKEIN_BACKUP_BUCKET" placeholder:"NAME" group:"Cluster:"`

	TakeoverAfter time.Duration `help:"Silence of a node after which the nodes that have the unflushed rows of its replicated tables, too, store them; more than two heartbeats of 30s are sensible. 0 is never." default:"1m" env:"SKEIN_TAKEOVER_AFTER" placeholder:"TIME" group:"Cluster:"`

	pools
	Catalog catalogFlags `embed:""`

	ParallelEndpoints bool `help:"Give Flight SQL clients one endpoint for each part of a divided result, on the workers' own addresses, unless they ask for one. They must reach all workers." env:"SKEIN_PARALLEL_ENDPOINTS" group:"Cluster:"`

	AuthFile string `help:"YAML file of users, tokens and the cluster's secret." env:"SKEIN_AUTH_FILE" placeholder:"FILE" group:"Security:"`
	TLSCert  string `name:"tls-cert" help:"PEM file of this server's certificate." env:"SKEIN_TLS_CERT" placeholder:"FILE" group:"Security:"`
	TLSKey   string `name:"tls-key" help:"PEM file of its key." env:"SKEIN_TLS_KEY" placeholder:"FILE" group:"Security:"`
	Insecure bool   `help:"Allow addresses that other machines reach without --auth-file: everybody there may read and change everything." env:"SKEIN_INSECURE" group:"Security:"`

	MemoryLimit byteSize `help:"Memory for queries and buffers, with a unit, such as 4GB; 60% of the machine's if not given." env:"SKEIN_MEMORY_LIMIT" placeholder:"SIZE" group:"Resources:"`
	Threads     int      `help:"Threads for queries; one for each core if not given." env:"SKEIN_THREADS" placeholder:"N" group:"Resources:"`
	CacheSize   byteSize `help:"Disk space for objects read from --s3." default:"10GiB" env:"SKEIN_CACHE_SIZE" placeholder:"SIZE" group:"Resources:"`

	QueriesMax   int           `help:"Queries that run at once; others wait." default:"32" env:"SKEIN_QUERIES_MAX" placeholder:"N" group:"Resources:"`
	QueryMemory  byteSize      `help:"Rows that one query may keep between its stages, on all workers together; what does not fit into memory is on disk." default:"8GiB" env:"SKEIN_QUERY_MEMORY" placeholder:"SIZE" group:"Resources:"`
	QueryTimeout time.Duration `help:"How long one query may take, with the time that its client takes to read the answer." default:"1h" env:"SKEIN_QUERY_TIMEOUT" placeholder:"TIME" group:"Resources:"`

	LogLevel  string `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"SKEIN_LOG_LEVEL" placeholder:"LEVEL" group:"Logs:"`
	LogFormat string `help:"text or json." enum:"text,json" default:"text" env:"SKEIN_LOG_FORMAT" placeholder:"NAME" group:"Logs:"`
}

// Help is shown by kong.
func (*serveCmd) Help() string {
	return `With no flags: a complete server in one process, with its data in ./skein-data. With --redis and --s3: a
node of a cluster; nodes find each other through Redis.

    skein serve
    skein serve --data-dir /var/lib/skein --config /etc/skein.yaml
    SKEIN_S3_SECRET_KEY=… skein serve --redis redis://db:6379/0 --s3 http://minio:9000 --s3-access-key skein \
        --grpc-addr 10.0.0.1:8815 --auth-file /etc/skein/auth.yaml`
}

// BeforeResolve is called by kong.
func (*serveCmd) BeforeResolve(ctx *kong.Context) error { return config.Load(ctx, "config") }

// Run is called by kong.
func (c *serveCmd) Run() error {
	cfg, err := c.server()
	if err != nil {
		return usageError{err}
	}
	log := c.logger(os.Stderr)
	name, _ := build()
	ctx, stop := interruptible()
	defer stop()
	s, err := server.Start(ctx, cfg, name, log)
	if err != nil {
		return err
	}
	err = s.Wait(ctx)
	log.Info("stopping")
	return errors.Join(err, stopWithin(ctx, stopMax, s.Stop))
}

// stopMax bounds an orderly stop. Rows that are in no file by then, because the
// object store or the catalog does not answer, stay in the log for the next
// start.
const stopMax = time.Minute

// stopWithin calls stop with the values of ctx and a deadline of its own.
func stopWithin(ctx context.Context, limit time.Duration, stop func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	return stop(ctx)
}

// server is the configuration that the flags make.
func (c *serveCmd) server() (server.Config, error) {
	cfg := server.Config{
		DataDir: c.DataDir, GRPCAddr: c.GRPCAddr, HTTPAddr: c.HTTPAddr, AdvertiseAddr: c.AdvertiseAddr, Roles: c.Roles, NodeID: c.NodeID,
		Redis: c.Redis, S3: c.S3, S3Backup: c.S3Backup, S3AccessKey: c.S3AccessKey, S3SecretKey: c.S3SecretKey, Bucket: c.Bucket, BackupBucket: c.BackupBucket,
		TakeoverAfter: c.TakeoverAfter, ParallelEndpoints: c.ParallelEndpoints,
		AuthFile: c.AuthFile, TLSCert: c.TLSCert, TLSKey: c.TLSKey,
		MemoryBytes: int64(c.MemoryLimit), Threads: c.Threads, CacheBytes: int64(c.CacheSize),
		QueriesMax: c.QueriesMax, QueryBytesMax: int64(c.QueryMemory), QueryTimeout: c.QueryTimeout,
	}
	c.Catalog.into(&cfg.Catalog)
	if err := c.into(&cfg); err != nil {
		return cfg, err
	}
	if c.S3SecretKeyFile != "" {
		secret, err := secretFile(c.S3SecretKeyFile)
		if err != nil {
			return cfg, fmt.Errorf("--s3-secret-key-file: %w", err)
		}
		cfg.S3SecretKey = secret
	}
	return cfg, nil
}

func (c *serveCmd) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		panic("BUG: log level " + c.LogLevel)
	}
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
