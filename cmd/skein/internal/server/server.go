//go:build duckdb_arrow

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"skein/coordinator"
	"skein/coordinator/catalog"
	"skein/coordinator/repair"
	"skein/flight"
	"skein/flight/node"
	"skein/gateway"
	"skein/gateway/auth"
	"skein/internal/batch"
	"skein/internal/duck"
	"skein/meta"
	"skein/objstore/cache"
	nodev1 "skein/proto/node/v1"
	"skein/worker"
)

// stopWait is how long a stopping node lets running calls finish.
const stopWait = 20 * time.Second

// Server is a running node.
type Server struct {
	GRPCAddr, HTTPAddr string // as bound

	config   Config
	version  string
	log      *slog.Logger
	registry *prometheus.Registry
	ready    atomic.Bool
	tls      *tls.Config
	auth     *auth.Auth

	kept    *stores
	catalog meta.Store
	db      *duck.DB
	cache   *cache.Cache
	pool    *node.Pool
	worker  *worker.Worker
	coord   *coordinator.Coordinator
	keeper  *catalog.Service
	checks  *repair.Service
	grpc    *grpc.Server
	flight  *flight.Server
	http    *http.Server
	failed  chan error
	closers []func(context.Context) error // undone in reverse
}

// Start opens everything and serves. The caller calls Stop, also after a
// failed Wait.
func Start(ctx context.Context, c Config, version string, log *slog.Logger) (*Server, error) {
	s := &Server{config: c, version: version, log: log, registry: prometheus.NewRegistry(), failed: make(chan error, 2)}
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
	}
	s.ready.Store(true)
	log.Info("serving", "grpc", s.GRPCAddr, "http", s.HTTPAddr, "data_dir", c.DataDir, "cluster", c.Redis != "")
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	if err := s.prepare(); err != nil {
		return err
	}
	var listen net.ListenConfig
	grpcListener, err := listen.Listen(ctx, "tcp", s.config.GRPCAddr)
	if err != nil {
		return fmt.Errorf("--grpc-addr: %w", err)
	}
	s.onStop(func(context.Context) error { return ignoreClosed(grpcListener.Close()) })
	httpListener, err := listen.Listen(ctx, "tcp", s.config.HTTPAddr)
	if err != nil {
		return fmt.Errorf("--http-addr: %w", err)
	}
	s.onStop(func(context.Context) error { return ignoreClosed(httpListener.Close()) })
	s.GRPCAddr, s.HTTPAddr = grpcListener.Addr().String(), httpListener.Addr().String()
	if err := s.openEngine(ctx); err != nil {
		return err
	}
	if err := s.openDoors(); err != nil {
		return err
	}
	go func() { s.failed <- s.grpc.Serve(grpcListener) }()
	go func() { s.failed <- s.serveHTTP(httpListener) }()
	s.onStop(s.stopDoors)
	if err := s.coord.Start(ctx); err != nil {
		return err
	}
	s.onStop(s.coord.Stop)
	if b := s.kept.backups; b != nil {
		s.onStop(func(context.Context) error { b.service.Close(); return nil })
	}
	s.runCatalog()
	return nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// prepare makes the directories and reads the secrets.
func (s *Server) prepare() (err error) {
	if s.config.DataDir, err = filepath.Abs(s.config.DataDir); err != nil {
		return err
	}
	if err := os.RemoveAll(s.config.dir("spill")); err != nil { // what a killed process left
		return fmt.Errorf("--data-dir: %w", err)
	}
	for _, d := range []string{"", "spill", "worker", "cache"} {
		if err := os.MkdirAll(s.config.dir(d), 0o750); err != nil {
			return fmt.Errorf("--data-dir: %w", err)
		}
	}
	if s.config.AuthFile != "" {
		if s.auth, err = auth.Load(s.config.AuthFile); err != nil {
			return fmt.Errorf("--auth-file: %w", err)
		}
		// Without it any user could send fragments, which are SQL that is run as it is.
		if s.config.Redis != "" && s.auth.ClusterSecret() == "" {
			return errors.New("--auth-file: a node of a cluster needs a cluster_secret, the same on all nodes")
		}
	}
	if s.config.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(s.config.TLSCert, s.config.TLSKey)
		if err != nil {
			return fmt.Errorf("--tls-cert: %w", err)
		}
		s.tls = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	return nil
}

func (s *Server) openEngine(ctx context.Context) error {
	id, err := s.config.nodeID()
	if err != nil {
		return err
	}
	ctx = meta.As(ctx, "node "+id)
	alerts := s.openAlerts(id)
	kept, err := openStores(ctx, s.config, id, alerts, s.log, s.registry)
	if err != nil {
		return err
	}
	s.onStop(func(context.Context) error { return kept.close() })
	s.watchHealth(kept, id, alerts)
	s.kept, s.catalog = kept, kept.catalog
	objects := kept.objects
	s.db, err = duck.Open(duck.Options{
		MemoryLimit: s.config.memoryLimit(), Threads: s.config.Threads, TempDir: s.config.dir("spill"),
		AllowedDirs: []string{s.config.dir("objects"), s.config.dir("cache"), s.config.dir("worker"), s.config.dir("spill")},
	})
	if err != nil {
		return err
	}
	s.onStop(func(context.Context) error { s.db.Close(); return nil })
	s.cache, err = cache.New(objects, cache.Options{Dir: s.config.dir("cache"), BytesMax: s.config.CacheBytes, Logger: s.log, Registerer: s.registry})
	if err != nil {
		return err
	}
	s.onStop(func(context.Context) error { return s.cache.Close() })
	s.pool = node.NewPool(s.peerOptions())
	s.onStop(func(context.Context) error { s.pool.Close(); return nil })
	deps := coordinator.Deps{Meta: s.catalog, Objects: objects, DB: s.db, Log: s.log,
		Authorize: s.authorize, Remote: func(n meta.Node) coordinator.Worker { return s.pool.Worker(n.Address) }}
	if s.isWorker() {
		local, err := s.openWorker(id, objects)
		if err != nil {
			return err
		}
		deps.Local, deps.Loader = local, s.worker
		local.stats = func(w time.Duration) *nodev1.StatsResponse { return s.coord.NodeStats(w) }
	}
	s.coord, err = coordinator.New(ctx, deps, coordinator.Options{Node: s.self(id),
		QueriesMax: s.config.QueriesMax, QueryBytesMax: s.config.QueryBytesMax, QueryTimeout: s.config.QueryTimeout})
	if err == nil && kept.backups != nil {
		kept.backups.service.Flush = s.coord.Flush
	}
	if err == nil {
		s.checks = s.openChecks()
		s.keeper, err = s.openCatalog(ctx, id)
	}
	return err
}

// authorize asks for the role that a permission needs.
func (s *Server) authorize(ctx context.Context, p coordinator.Permission) error {
	role := map[coordinator.Permission]auth.Role{coordinator.ToRead: auth.Read, coordinator.ToWrite: auth.Write, coordinator.ToDefine: auth.Admin}[p]
	return auth.Require(ctx, role)
}

func (s *Server) isWorker() bool {
	return len(s.config.Roles) == 0 || slices.Contains(s.config.Roles, coordinator.RoleWorker)
}

// address is where others reach this node's gRPC port.
func (s *Server) address() string {
	if s.config.AdvertiseAddr != "" {
		return s.config.AdvertiseAddr
	}
	return s.GRPCAddr
}

// self is this node as it registers.
func (s *Server) self(id string) meta.Node {
	n := meta.Node{ID: id, Address: s.address(), HTTPAddress: s.HTTPAddr, Roles: s.config.Roles, Version: s.version, Started: time.Now().UTC()}
	if len(n.Roles) == 0 {
		n.Roles = []string{coordinator.RoleCoordinator, coordinator.RoleWorker}
	}
	return n
}

func (s *Server) openWorker(id string, objects closingObjects) (*localWorker, error) {
	deps := worker.Deps{Meta: s.catalog, Objects: objects, DB: s.db, Log: s.log, Registerer: s.registry}
	if s.config.Redis != "" { // a node on its own has no peers
		deps.Peer = func(n meta.Node) worker.Peer { return s.pool.Worker(n.Address) }
	}
	w, err := worker.New(deps, worker.Options{NodeID: id, Dir: s.config.dir("worker"), TakeoverAfter: s.config.TakeoverAfter})
	if err != nil {
		return nil, err
	}
	s.worker = w
	w.Start(meta.As(context.Background(), "node "+id))
	s.onStop(w.Close)
	source := &worker.Splits{NodeID: id, Dir: s.config.dir("spill"), Hot: w.HotPath,
		Object: func(ctx context.Context, key string, size int64) (string, func(), error) {
			h, err := s.cache.Acquire(ctx, key, size)
			if err != nil {
				return "", nil, err
			}
			return h.Path(), h.Release, nil
		},
		Fetch: func(ctx context.Context, address string, r *nodev1.ReadHotRequest) (io.ReadCloser, error) {
			return s.pool.Worker(address).ReadHot(ctx, r)
		},
		FetchKept: func(ctx context.Context, address string, r *nodev1.KeptRead) (batch.Reader, error) {
			return s.pool.Worker(address).ReadKept(ctx, r)
		}}
	return &localWorker{Worker: w, Runner: worker.NewRunner(s.db, source)}, nil
}

func (s *Server) peerOptions() node.Options {
	o := node.Options{Registerer: s.registry, Dial: []grpc.DialOption{grpc.WithChainUnaryInterceptor(gateway.OnBehalf)}}
	if creds := s.auth.NodeCredentials(); creds != nil {
		o.Dial = append(o.Dial, grpc.WithPerRPCCredentials(creds))
	}
	if s.tls != nil {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return o
}

func (s *Server) openDoors() error {
	opts := flight.ServerOptions(flight.GRPCOptions{})
	unary := []grpc.UnaryServerInterceptor{gateway.RecoverUnary(s.log)}
	stream := []grpc.StreamServerInterceptor{gateway.RecoverStream(s.log)}
	if s.auth != nil {
		unary = append(unary, s.auth.UnaryInterceptor())
		stream = append(stream, s.auth.StreamInterceptor())
	}
	unary = append(unary, gateway.IdentifyUnary(s.config.Redis != ""))
	stream = append(stream, gateway.IdentifyStream(s.config.Redis != ""))
	opts = append(opts, grpc.ChainUnaryInterceptor(unary...), grpc.ChainStreamInterceptor(stream...))
	if s.tls != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(s.tls)))
	}
	s.grpc = grpc.NewServer(opts...)
	options := s.kept.gatewayOptions()
	options.Catalog, options.Checks, options.Nodes = s.keeper, s.checks, s.coord
	s.tellLoss(&options)
	service := gateway.NewService(s.coord, options)
	service.Register(s.grpc)
	var fragments flight.Fragments
	if s.worker != nil && s.config.Redis != "" { // a node on its own has no peers to serve
		nodes := node.NewServer(s.localWorker(), s.nodeStats, s.auth.ClusterSecret())
		nodes.Register(s.grpc)
		fragments = nodes
	}
	s.flight = flight.NewServer(s.coord, fragments, flight.Options{Version: s.version, Authenticator: authenticator(s.auth),
		Parallel: s.config.ParallelEndpoints, PartKey: s.partKey(), Address: s.address(), TLS: s.tls != nil, User: userOf})
	arrowflight.RegisterFlightServiceServer(s.grpc, s.flight)
	healthpb.RegisterHealthServer(s.grpc, health.NewServer())
	reflection.Register(s.grpc)
	handler, err := gateway.NewHandler(service, gateway.HandlerOptions{Auth: s.auth, Registry: s.registry, Ready: s.ready.Load, Log: s.log})
	if err != nil {
		return err
	}
	s.http = gateway.NewServer(handler, s.log)
	s.http.TLSConfig = s.tls
	return nil
}

// partKey signs the tickets of parts of results. Nodes that share no secret run
// what anybody sends them: there all have the same key. A node on its own
// makes one.
func (s *Server) partKey() []byte {
	if s.config.Redis == "" {
		return nil
	}
	return []byte("parts of " + s.auth.ClusterSecret())
}

// userOf is the name of the caller.
func userOf(ctx context.Context) string {
	p, _ := auth.From(ctx)
	return p.Name
}

func (s *Server) localWorker() *localWorker {
	w, _ := s.coord.Local.(*localWorker)
	return w
}

func (s *Server) nodeStats(_ context.Context, window time.Duration) (*nodev1.StatsResponse, error) {
	return s.coord.NodeStats(window), nil
}

// authenticator gives Flight's handshake the users of the auth file.
func authenticator(a *auth.Auth) flight.Authenticator {
	if a == nil {
		return nil
	}
	return issuer{a}
}

type issuer struct{ *auth.Auth }

// Basic implements flight.Authenticator.
func (i issuer) Basic(user, password string) (string, error) {
	p, err := i.Auth.Basic(user, password)
	if err != nil {
		return "", err
	}
	return i.Issue(p), nil
}

func (s *Server) serveHTTP(l net.Listener) error {
	if s.tls != nil {
		return s.http.ServeTLS(l, "", "")
	}
	return s.http.Serve(l)
}

func (s *Server) onStop(f func(context.Context) error) { s.closers = append(s.closers, f) }

// Wait returns when ctx ends, or with the error of a port that failed.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}

// stopDoors lets running calls finish for a while, then ends them.
func (s *Server) stopDoors(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	stopped := make(chan struct{})
	go func() { s.grpc.GracefulStop(); close(stopped) }()
	select {
	case <-stopped:
	case <-ctx.Done():
		s.grpc.Stop()
		<-stopped
	}
	s.flight.Close()
	return err
}

// Stop leaves the cluster, ends the doors, flushes and closes everything.
func (s *Server) Stop(ctx context.Context) error {
	s.ready.Store(false)
	var errs []error
	for _, f := range slices.Backward(s.closers) {
		errs = append(errs, f(ctx))
	}
	s.closers = nil
	return errors.Join(errs...)
}
