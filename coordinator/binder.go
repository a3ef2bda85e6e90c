//go:build duckdb_arrow

package coordinator

import (
	"context"
	"strconv"
	"strings"

	"skein/internal/duck"
	"skein/internal/fault"
	"skein/planner"
	nodev1 "skein/proto/node/v1"
	"skein/worker"
)

// binder binds statements for one plan, over empty views that it makes once.
type binder struct {
	engine
	conn  *duck.Conn
	views map[string]bool
}

func (b *binder) close() {
	if b.conn != nil {
		b.conn.Close()
	}
}

const describePrefix = "DESCRIBE "

// Describe implements planner.Binder.
func (b *binder) Describe(ctx context.Context, sql string, views map[string][]planner.Column) ([]planner.Column, error) {
	key := signature(sql, views)
	if known, ok := b.memo.Get(key); ok {
		return known.([]planner.Column), nil
	}
	if err := b.prepare(ctx, views); err != nil {
		return nil, err
	}
	rows, err := b.conn.Strings(ctx, describePrefix+sql)
	if fault.CodeOf(err) == fault.InvalidArgument {
		offset, convErr := strconv.Atoi(fault.Details(err)[duck.OffsetDetail])
		if convErr != nil || offset < len(describePrefix) {
			offset = -1
		} else {
			offset -= len(describePrefix)
		}
		return nil, &planner.Error{Reason: planner.Invalid, Message: err.Error(), Offset: offset}
	}
	if err != nil {
		return nil, err
	}
	columns := make([]planner.Column, len(rows))
	for i, r := range rows {
		columns[i] = planner.Column{Name: r[0], Type: r[1]}
	}
	b.memo.Put(key, columns)
	return columns, nil
}

// signature is a statement with the columns of all that it may name.
func signature(sql string, views map[string][]planner.Column) string {
	var s strings.Builder
	s.WriteString(describePrefix + sql)
	for _, name := range sortedKeys(views) {
		s.WriteString("\x00" + name)
		for _, c := range views[name] {
			s.WriteString("\x01" + c.Name + "\x01" + c.Type)
		}
	}
	return s.String()
}

// prepare makes the views that are not there yet.
func (b *binder) prepare(ctx context.Context, views map[string][]planner.Column) (err error) {
	if b.conn == nil {
		if b.conn, err = b.db.Conn(ctx); err != nil {
			return err
		}
		b.views = map[string]bool{}
	}
	for name, columns := range views {
		if b.views[name] {
			continue
		}
		scan := &nodev1.TableScan{View: name}
		for _, c := range columns {
			scan.Columns = append(scan.Columns, &nodev1.Column{Name: c.Name, Type: c.Type})
		}
		if _, err := b.conn.Exec(ctx, worker.EmptyView(scan)); err != nil {
			return err
		}
		b.views[name] = true
	}
	return nil
}
