// Sql is Skein from Go's database/sql, by ADBC's driver for it.
//
//	go run ./examples/go/sql [HOST:PORT [USER PASSWORD]]
package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	"github.com/apache/arrow-adbc/go/adbc"
	driver "github.com/apache/arrow-adbc/go/adbc/driver/flightsql"
	"github.com/apache/arrow-adbc/go/adbc/sqldriver"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func main() {
	sql.Register("skein", sqldriver.Driver{Driver: driver.NewDriver(memory.DefaultAllocator)})
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run connects by a list of options, NAME=VALUE, with semicolons between them.
func run(ctx context.Context, args []string) error {
	source := adbc.OptionKeyURI + "=grpc://127.0.0.1:8815"
	if len(args) > 0 {
		source = adbc.OptionKeyURI + "=grpc://" + args[0]
	}
	if len(args) > 2 {
		source += ";" + adbc.OptionKeyUsername + "=" + args[1] + ";" + adbc.OptionKeyPassword + "=" + args[2]
	}
	db, err := sql.Open("skein", source)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE OR REPLACE TABLE example_sql AS SELECT * FROM (VALUES ('Oslo', 3.2::DOUBLE), ('Lima', 11.0)) t(city, km)"); err != nil {
		return err
	}
	// A statement with parameters must be prepared first.
	query, err := db.PrepareContext(ctx, "SELECT city, km FROM example_sql WHERE km > CAST(? AS DOUBLE)")
	if err != nil {
		return err
	}
	defer query.Close()
	rows, err := query.QueryContext(ctx, 4.0)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var city string
		var km float64
		if err := rows.Scan(&city, &km); err != nil {
			return err
		}
		fmt.Println(city, km)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "DROP TABLE example_sql")
	return err
}
