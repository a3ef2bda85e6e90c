// Adbc is Skein from Go, by ADBC: Arrow batches in and out.
//
//	go run ./examples/go/adbc [HOST:PORT [USER PASSWORD]]
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/apache/arrow-adbc/go/adbc"
	driver "github.com/apache/arrow-adbc/go/adbc/driver/flightsql"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	options := map[string]string{adbc.OptionKeyURI: "grpc://127.0.0.1:8815"}
	if len(args) > 0 {
		options[adbc.OptionKeyURI] = "grpc://" + args[0]
	}
	if len(args) > 2 {
		options[adbc.OptionKeyUsername], options[adbc.OptionKeyPassword] = args[1], args[2]
	}
	db, err := driver.NewDriver(memory.DefaultAllocator).NewDatabase(options)
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Open(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := ingest(ctx, conn); err != nil {
		return err
	}
	if err := query(ctx, conn, "SELECT city, km FROM example_go ORDER BY km"); err != nil {
		return err
	}
	return query(ctx, conn, "DROP TABLE example_go")
}

// ingest stores a batch as a table, whole or not at all.
func ingest(ctx context.Context, conn adbc.Connection) error {
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{
		{Name: "city", Type: arrow.BinaryTypes.String}, {Name: "km", Type: arrow.PrimitiveTypes.Float64},
	}, nil))
	defer b.Release()
	b.Field(0).(*array.StringBuilder).AppendValues([]string{"Oslo", "Lima"}, nil)
	b.Field(1).(*array.Float64Builder).AppendValues([]float64{3.2, 11}, nil)
	batch := b.NewRecordBatch()
	defer batch.Release()

	s, err := conn.NewStatement()
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.SetOption(adbc.OptionKeyIngestTargetTable, "example_go"); err != nil {
		return err
	}
	if err := s.SetOption(adbc.OptionKeyIngestMode, adbc.OptionValueIngestModeReplace); err != nil {
		return err
	}
	if err := s.Bind(ctx, batch); err != nil {
		return err
	}
	rows, err := s.ExecuteUpdate(ctx)
	fmt.Println("stored", rows, "rows")
	return err
}

// query prints a statement's rows.
func query(ctx context.Context, conn adbc.Connection, sql string) error {
	s, err := conn.NewStatement()
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.SetSqlQuery(sql); err != nil {
		return err
	}
	rows, _, err := s.ExecuteQuery(ctx)
	if err != nil {
		return err
	}
	defer rows.Release()
	for rows.Next() {
		b := rows.RecordBatch()
		for row := range int(b.NumRows()) {
			for column := range int(b.NumCols()) {
				fmt.Print(b.Column(column).ValueStr(row), " ")
			}
			fmt.Println()
		}
	}
	return rows.Err()
}
