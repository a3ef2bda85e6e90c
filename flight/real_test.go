//go:build duckdb_arrow

package flight_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc"

	"skein/coordinator"
	"skein/flight"
	"skein/internal/duck"
	"skein/meta"
	"skein/meta/boltmeta"
	"skein/objstore/local"
	nodev1 "skein/proto/node/v1"
	"skein/worker"
)

// serve starts a whole node, with its own catalog and objects, and returns its
// address and a coordinator of it.
func serve(t testing.TB, o flight.Options) (address string, c *coordinator.Coordinator) {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	catalog, err := boltmeta.Open(filepath.Join(dir, "catalog.db"), boltmeta.Options{})
	must(err)
	t.Cleanup(func() { catalog.Close() })
	objects, err := local.Open(filepath.Join(dir, "objects"), local.Options{})
	must(err)
	t.Cleanup(func() { objects.Close() })
	db, err := duck.Open(duck.Options{AllowedDirs: []string{dir}, TempDir: filepath.Join(dir, "tmp"), Threads: 2})
	must(err)
	t.Cleanup(db.Close)
	w, err := worker.New(worker.Deps{Meta: catalog, Objects: objects, DB: db}, worker.Options{NodeID: "n1", Dir: filepath.Join(dir, "n1")})
	must(err)
	w.Start(context.Background())
	t.Cleanup(func() { w.Close(context.Background()) })
	must(os.MkdirAll(filepath.Join(dir, "fetched"), 0o750))
	source := &worker.Splits{NodeID: "n1", Dir: filepath.Join(dir, "fetched"), Hot: w.HotPath,
		Object: func(_ context.Context, key string, _ int64) (string, func(), error) {
			p, err := objects.LocalPath(key)
			return p, func() {}, err
		}}
	c, err = coordinator.New(t.Context(), coordinator.Deps{Meta: catalog, Objects: objects, DB: db, Loader: w,
		Local: localWorker{w, worker.NewRunner(db, source)}},
		coordinator.Options{Embedded: true, Node: meta.Node{ID: "n1", Address: "n1:1", Roles: []string{"coordinator", "worker"}}})
	must(err)
	must(c.Start(t.Context()))
	t.Cleanup(func() { c.Stop(context.Background()) })

	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	s := flight.NewServer(c, nil, o)
	g := grpc.NewServer(flight.ServerOptions(flight.GRPCOptions{})...)
	arrowflight.RegisterFlightServiceServer(g, s)
	var served sync.WaitGroup
	served.Go(func() { g.Serve(l) })
	t.Cleanup(func() {
		g.Stop()
		served.Wait()
		s.Close()
	})
	return l.Addr().String(), c
}

// localWorker is the node's own worker.
type localWorker struct {
	*worker.Worker
	*worker.Runner
}

// Ready implements coordinator.Worker.
func (localWorker) Ready(context.Context) error { return nil }

// Stats implements coordinator.Worker.
func (localWorker) Stats(context.Context, time.Duration) (*nodev1.StatsResponse, error) {
	return &nodev1.StatsResponse{}, nil
}
