package bench

import (
	"context"
	"database/sql/driver"
	"fmt"
	"runtime"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"skein/bench/tpch"
	"skein/internal/duck"
)

// peer is DuckDB in this process, with a thread for each core and views over
// the data set's files. One goroutine uses it.
//
// It opens DuckDB with the public driver and not as the server does, so that a
// mistake there cannot be on both sides of a comparison.
type peer struct {
	connector *duckdb.Connector
	conn      driver.Conn
	arrow     *duckdb.Arrow
}

// openPeer opens a database in memory that spills to tempDir. The caller
// closes it.
func openPeer(ctx context.Context, tempDir string) (_ *peer, err error) {
	p := &peer{}
	defer func() {
		if err != nil {
			p.close()
			err = fmt.Errorf("duckdb in process: %w", err)
		}
	}()
	if p.connector, err = duckdb.NewConnector("", nil); err != nil {
		return nil, err
	}
	if p.conn, err = p.connector.Connect(ctx); err != nil {
		return nil, err
	}
	if p.arrow, err = duckdb.NewArrowFromConn(p.conn); err != nil {
		return nil, err
	}
	err = p.exec(ctx,
		fmt.Sprintf("SET threads=%d", runtime.NumCPU()),
		"SET temp_directory="+duck.Literal(tempDir),
		"SET TimeZone='UTC'",
		"SET parquet_metadata_cache=true", // the server may keep footers, too
	)
	return p, err
}

func (p *peer) close() {
	if p.conn != nil {
		_ = p.conn.Close()
	}
	if p.connector != nil {
		_ = p.connector.Close()
	}
}

func (p *peer) exec(ctx context.Context, statements ...string) error {
	for _, sql := range statements {
		if _, err := p.conn.(driver.ExecerContext).ExecContext(ctx, sql, nil); err != nil {
			return err
		}
	}
	return nil
}

// views makes a view of each table's files.
func (p *peer) views(ctx context.Context, files map[string][]string) error {
	for _, table := range tpch.Tables() {
		sql := "CREATE VIEW " + duck.Ident(table) + " AS SELECT * FROM " + readParquet(files[table])
		if err := p.exec(ctx, sql); err != nil {
			return fmt.Errorf("duckdb in process: table %s: %w", table, err)
		}
	}
	return nil
}

// query implements engine.
func (p *peer) query(ctx context.Context, sql string) (*result, error) {
	r, err := p.arrow.QueryContext(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("duckdb in process: %w", err)
	}
	defer r.Release()
	return drain(r)
}

func (p *peer) version(ctx context.Context) (string, error) {
	res, err := p.query(ctx, "SELECT version()")
	if err != nil {
		return "", err
	}
	defer res.release()
	name := strings.Clone(res.batches[0].Column(0).ValueStr(0)) // it points into the batch
	return strings.TrimPrefix(name, "v"), nil
}

// readParquet names files in SQL. DuckDB takes paths as patterns, so what
// would be one is escaped.
func readParquet(paths []string) string {
	escape := strings.NewReplacer("[", "[[]", "*", "[*]", "?", "[?]")
	quoted := make([]string, len(paths))
	for i, p := range paths {
		quoted[i] = duck.Literal(escape.Replace(p))
	}
	return "read_parquet([" + strings.Join(quoted, ",") + "])"
}
