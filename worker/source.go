//go:build duckdb_arrow

package worker

import (
	"context"
	"fmt"
	"io"
	"os"

	"skein/internal/batch"
	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

// Splits is the Source of a node: objects through the cache, unflushed rows
// from this node's worker or over the network from another's.
type Splits struct {
	NodeID string
	Dir    string // for what is fetched; must exist
	// Object returns the local path of an object of the given size.
	Object func(ctx context.Context, key string, size int64) (path string, release func(), err error)
	// Hot returns the local path of unflushed rows that this node holds.
	Hot func(ctx context.Context, tableUID, unit string, rows int64) (path string, release func(), err error)
	// Fetch reads unflushed rows of another node as a Parquet file.
	Fetch func(ctx context.Context, address string, r *nodev1.ReadHotRequest) (io.ReadCloser, error)
	// FetchKept reads rows that another node keeps.
	FetchKept func(ctx context.Context, address string, r *nodev1.KeptRead) (batch.Reader, error)
}

// Local implements Source.
func (s *Splits) Local(nodeID string) bool { return nodeID == s.NodeID }

// ReadKept implements Source.
func (s *Splits) ReadKept(ctx context.Context, share *nodev1.KeptShare) (batch.Reader, error) {
	if s.FetchKept == nil {
		return nil, fault.New(fault.Unimplemented, "this node reads no other's kept rows")
	}
	return s.FetchKept(ctx, share.Address, share.Read)
}

// Open implements Source.
func (s *Splits) Open(ctx context.Context, split *nodev1.Split) (string, func(), error) {
	h := split.Hot
	switch {
	case h == nil:
		return s.Object(ctx, split.Path, split.Size)
	case h.NodeId == s.NodeID && s.Hot != nil:
		return s.Hot(ctx, h.TableUid, h.Unit, h.Rows)
	}
	return s.fetch(ctx, h)
}

func (s *Splits) fetch(ctx context.Context, h *nodev1.HotSplit) (path string, release func(), err error) {
	r, err := s.Fetch(ctx, h.Address, &nodev1.ReadHotRequest{TableUid: h.TableUid, Unit: h.Unit, Rows: h.Rows})
	if err != nil {
		return "", nil, err
	}
	defer r.Close()
	f, err := os.CreateTemp(s.Dir, "hot-*.parquet")
	if err != nil {
		return "", nil, fmt.Errorf("unflushed rows: %w", err)
	}
	remove := func() { os.Remove(f.Name()) }
	_, err = io.Copy(f, r)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		remove()
		return "", nil, fmt.Errorf("unflushed rows: %w", err)
	}
	return f.Name(), remove, nil
}
