package tpcds

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"skein/internal/fault"
)

// QueryCount is how many queries there are. They are numbered from 1.
const QueryCount = 99

// Query is one of the queries.
type Query struct {
	Number int
	SQL    string // without a semicolon
	// Whole is the query without the LIMIT at its end. ORDER BY often leaves
	// open which rows come first, so two engines are compared by Whole, its
	// rows in any order.
	Whole string
}

// Name is as in reports: q01.
func (q Query) Name() string { return fmt.Sprintf("q%02d", q.Number) }

var tables = []string{
	"call_center", "catalog_page", "catalog_returns", "catalog_sales", "customer", "customer_address", "customer_demographics", "date_dim",
	"household_demographics", "income_band", "inventory", "item", "promotion", "reason", "ship_mode", "store", "store_returns", "store_sales",
	"time_dim", "warehouse", "web_page", "web_returns", "web_sales", "web_site",
}

// Tables are the names of the 24 tables.
func Tables() []string { return slices.Clone(tables) }

// Files are the absolute paths of the tables' Parquet files. A missing one is
// NotFound.
func Files(dir string) (map[string]string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fault.Newf(fault.InvalidArgument, "data directory: %w", err)
	}
	files := map[string]string{}
	for _, t := range tables {
		path := filepath.Join(dir, t+".parquet")
		if _, err := os.Stat(path); err != nil {
			return nil, missing(dir, err)
		}
		files[t] = path
	}
	return files, nil
}

// Queries reads all queries, in order. A missing one is NotFound.
func Queries(dir string) ([]Query, error) {
	queries := make([]Query, QueryCount)
	for i := range queries {
		q := Query{Number: i + 1}
		text, err := os.ReadFile(filepath.Join(dir, "queries", q.Name()+".sql"))
		if err != nil {
			return nil, missing(dir, err)
		}
		q.SQL = strings.TrimRight(strings.TrimSpace(string(text)), "; \n")
		q.Whole = whole(q.SQL)
		queries[i] = q
	}
	return queries, nil
}

var lastLimit = regexp.MustCompile(`(?i)\s+LIMIT\s+\d+$`)

func whole(sql string) string { return lastLimit.ReplaceAllString(sql, "") }

func missing(dir string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Newf(fault.NotFound, "TPC-DS in %s: make it with `scripts/tpcds.sh 1 %s`: %w", dir, dir, err)
	}
	return fault.Newf(fault.InvalidArgument, "TPC-DS in %s: %w", dir, err)
}
