package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"skein/internal/fault"
	"skein/internal/launch"
)

// WorkersMax bounds a cluster.
const WorkersMax = 32

// Site is a network that servers run in.
type Site struct {
	Namespace string // by the name that ip-netns knows; this process's if empty
	Host      string // address that the others reach it by
}

// Options of a cluster.
type Options struct {
	Program string // skein; needed
	MinIO   string // program; minio in PATH if empty
	Dir     string // of all servers' directories; needed
	Threads int    // of each node; its own default if zero

	Storage string                // address of MinIO; loopback if empty
	Hub     string                // address of Redis, the coordinator and the loader; loopback if empty
	Site    func(worker int) Site // of a worker, from 0; loopback if nil
}

// Cluster is Redis and MinIO, and the nodes that are up. One goroutine uses it.
type Cluster struct {
	Coordinator *Node
	Workers     []*Node

	o     Options
	redis *launch.Process
	minio *launch.MinIOServer
	made  int // node directories
}

const loopback = "127.0.0.1"

// Start runs Redis and MinIO, empty. The caller closes the cluster.
func Start(ctx context.Context, o Options) (_ *Cluster, err error) {
	if o.Storage == "" {
		o.Storage = loopback
	}
	if o.Hub == "" {
		o.Hub = loopback
	}
	if o.Site == nil {
		o.Site = func(int) Site { return Site{Host: loopback} }
	}
	c := &Cluster{o: o}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	redisDir, minioDir := filepath.Join(o.Dir, "redis"), filepath.Join(o.Dir, "minio")
	if err := errors.Join(os.MkdirAll(redisDir, 0o750), os.MkdirAll(minioDir, 0o750)); err != nil {
		return nil, fault.Newf(fault.InvalidArgument, "directory of the cluster: %w", err)
	}
	if c.redis, err = launch.Redis(ctx, o.Hub, redisDir); err != nil {
		return nil, err
	}
	c.minio, err = launch.MinIO(ctx, o.MinIO, "name the MinIO server by --minio or put it in PATH", o.Storage, minioDir)
	return c, err
}

// RedisURL is where the catalog is.
func (c *Cluster) RedisURL() string { return "redis://" + c.redis.Addr + "/0" }

// Loader starts a node that takes bulk loads, where no link is limited. The
// caller stops it.
func (c *Cluster) Loader(ctx context.Context) (*Node, error) {
	return c.node(ctx, Site{Host: c.o.Hub}, "loader", "coordinator,worker")
}

// Up starts a coordinator and so many workers with empty caches. What was up
// before goes down.
func (c *Cluster) Up(ctx context.Context, workers int) error {
	c.Down()
	c.Workers = make([]*Node, workers)
	group, groupCtx := errgroup.WithContext(ctx)
	for i := range workers {
		site, id, dir := c.o.Site(i), fmt.Sprintf("w%d", i+1), c.dir()
		group.Go(func() (err error) {
			c.Workers[i], err = c.nodeIn(groupCtx, dir, site, id, "worker")
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	// Last, so that it finds all workers at once.
	var err error
	c.Coordinator, err = c.node(ctx, Site{Host: c.o.Hub}, "coordinator", "coordinator")
	return err
}

// Down stops the nodes.
func (c *Cluster) Down() {
	var stopping errgroup.Group
	for _, n := range append(c.Workers, c.Coordinator) {
		if n != nil {
			stopping.Go(func() error { n.Stop(); return nil })
		}
	}
	_ = stopping.Wait() // they return none
	c.Workers, c.Coordinator = nil, nil
}

// Close stops everything.
func (c *Cluster) Close() {
	c.Down()
	if c.minio != nil {
		c.minio.Kill()
	}
	if c.redis != nil {
		c.redis.Kill()
	}
}

func (c *Cluster) dir() string {
	c.made++
	return filepath.Join(c.o.Dir, fmt.Sprintf("node%d", c.made))
}

func (c *Cluster) node(ctx context.Context, site Site, id, roles string) (*Node, error) {
	return c.nodeIn(ctx, c.dir(), site, id, roles)
}

func (c *Cluster) nodeIn(ctx context.Context, dir string, site Site, id, roles string) (*Node, error) {
	flags := []string{"--node-id", id, "--roles", roles, "--redis", c.RedisURL(), "--s3", c.minio.Endpoint, "--s3-access-key", c.minio.AccessKey}
	return startNode(ctx, nodeSpec{
		program: c.o.Program, dir: dir, site: site, threads: c.o.Threads, flags: flags,
		env: []string{"SKEIN_S3_SECRET_KEY=" + c.minio.SecretKey},
	})
}
