package bench

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/duckdb/duckdb-go/v2"

	"skein/internal/fault"
)

// writePeer is DuckDB in this process with a database file: every request is
// one transaction, durable in DuckDB's log when it commits. The values come as
// they are, without JSON; single rows by a prepared INSERT, many by appender.
type writePeer struct {
	dir         string
	db          *sql.DB
	connections []*peerConnection
}

type peerConnection struct {
	conn   *sql.Conn
	insert *sql.Stmt
}

// openWritePeer makes a database in a new directory below tempDir. The caller
// closes it.
func openWritePeer(ctx context.Context, tempDir string, connections int) (_ *writePeer, err error) {
	p := &writePeer{}
	defer func() {
		if err != nil {
			p.close()
			err = fmt.Errorf("duckdb in process: %w", err)
		}
	}()
	if p.dir, err = os.MkdirTemp(tempDir, "skein-bench-"); err != nil {
		return nil, fault.Wrap(fault.InvalidArgument, err)
	}
	connector, err := duckdb.NewConnector(filepath.Join(p.dir, "peer.duckdb"), nil)
	if err != nil {
		return nil, err
	}
	p.db = sql.OpenDB(connector)
	for _, statement := range []string{
		fmt.Sprintf("SET threads=%d", runtime.NumCPU()),
		`CREATE TABLE records (seq BIGINT, id VARCHAR, "timestamp" TIMESTAMPTZ, name VARCHAR, value DOUBLE, ok BOOLEAN)`,
	} {
		if _, err = p.db.ExecContext(ctx, statement); err != nil {
			return nil, err
		}
	}
	for range connections {
		c, err := p.connect(ctx)
		if err != nil {
			return nil, err
		}
		p.connections = append(p.connections, c)
	}
	return p, nil
}

func (p *writePeer) connect(ctx context.Context) (*peerConnection, error) {
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	insert, err := conn.PrepareContext(ctx, "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)")
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &peerConnection{conn: conn, insert: insert}, nil
}

func (p *writePeer) close() {
	for _, c := range p.connections {
		_ = c.insert.Close()
		_ = c.conn.Close()
	}
	if p.db != nil {
		_ = p.db.Close()
	}
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
}

// prepare implements target.
func (p *writePeer) prepare(_ writeMode, records []record) request {
	return func(ctx context.Context, connection int) (int, error) {
		c := p.connections[connection]
		if len(records) == 1 {
			r := records[0]
			_, err := c.insert.ExecContext(ctx, r.seq, r.id, r.at, r.name, r.value, r.ok)
			return 0, err
		}
		return 0, c.append(ctx, records)
	}
}

// append writes many records in one transaction.
func (c *peerConnection) append(ctx context.Context, records []record) error {
	if _, err := c.conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	err := c.conn.Raw(func(conn any) error {
		a, err := duckdb.NewAppenderFromConn(conn.(driver.Conn), "", "records")
		if err != nil {
			return err
		}
		for _, r := range records {
			if err := a.AppendRow(r.seq, r.id, r.at, r.name, r.value, r.ok); err != nil {
				_ = a.Close()
				return err
			}
		}
		return a.Close()
	})
	if err != nil {
		return err
	}
	_, err = c.conn.ExecContext(ctx, "COMMIT")
	return err
}

// check tells whether the peer has done all of its work.
func (p *writePeer) check(ctx context.Context, want int) error {
	var rows int
	if err := p.db.QueryRowContext(ctx, "SELECT count(*) FROM records").Scan(&rows); err != nil {
		return fmt.Errorf("duckdb in process: %w", err)
	}
	if rows != want {
		return fault.Newf(fault.Internal, "duckdb in process has %d rows of %d", rows, want)
	}
	return nil
}
