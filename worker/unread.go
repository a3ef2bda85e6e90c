//go:build duckdb_arrow

package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"skein/internal/duck"
	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

// ObjectDetail is the detail of an Unavailable error that names the object, or
// the unflushed rows, that could not be read. The worker is not to blame.
const ObjectDetail = "object"

// localFile is where a split is on this machine.
type localFile struct{ path, name string }

func splitName(s *nodev1.Split) string {
	if s.Hot != nil {
		return fmt.Sprintf("unflushed rows on node %s", s.Hot.NodeId)
	}
	return s.Path
}

// lost classes the error of a split: that an object of the index is missing
// is not the client's NotFound.
func lost(table string, s *nodev1.Split, err error) error {
	name := splitName(s)
	switch fault.CodeOf(err) {
	case fault.NotFound, fault.Unavailable:
		return fault.Newf(fault.Unavailable, "table %s: %s: %w", table, name, err).RetryIn(fault.RetryAfter(err)).With(ObjectDetail, name)
	}
	return fmt.Errorf("table %s: %s: %w", table, name, err)
}

// ofFiles are the kinds of DuckDB's errors that a damaged file may cause. The
// last tells no file.
var ofFiles = []string{"IO Error", "Invalid Input Error", "Serialization Error", nameless}

const nameless = "Invalid Error"

// blame tells an error that a damaged file is behind as the file's, with the
// object's name in place of the path; another comes back as it is.
func (r *running) blame(ctx context.Context, err error) error {
	if err == nil || !slices.ContainsFunc(ofFiles, func(kind string) bool { return strings.HasPrefix(err.Error(), kind) }) {
		return err
	}
	text := err.Error()
	for _, f := range r.files {
		if strings.Contains(text, f.path) || strings.HasPrefix(text, nameless) && !r.readable(ctx, f) {
			text = strings.ReplaceAll(text, f.path, f.name)
			return fault.Newf(fault.Unavailable, "%s is damaged: %s", f.name, text).With(ObjectDetail, f.name)
		}
	}
	return err
}

// readable tells whether all of a file is.
func (r *running) readable(ctx context.Context, f localFile) bool {
	if r.stream != nil {
		_ = r.stream.Close() // it has failed
	}
	_, err := r.conn.Exec(ctx, "SELECT max(hash(f)) FROM read_parquet("+duck.Literal(f.path)+") AS f")
	return err == nil || ctx.Err() != nil
}
