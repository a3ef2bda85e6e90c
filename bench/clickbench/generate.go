package clickbench

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"strings"

	"skein/internal/fault"
)

//go:embed schema.sql
var schema string

//go:embed generate.sql
var generate string

const (
	rowsMax  = 1_000_000_000
	filesMax = 100_000
)

// Options of the data.
type Options struct {
	Rows  int // 1,000,000 if zero; the 43 queries all have rows from about there
	Files int // of as many rows each; 8 if zero
	Nulls int // percent of NULLs in the columns that have some; 2 if zero, none if negative
}

// Schema is the CREATE TABLE statement of hits, as a single line, without a
// semicolon.
func Schema() string { return strings.Join(strings.Fields(schema), " ") }

// Generate returns statements that make DuckDB write hits.N.parquet files into
// a directory, which must be there. They are for one connection, in order. The
// rows are the same for the same options; those of a file are of a few days.
func Generate(dir string, o Options) ([]string, error) {
	if o.Rows == 0 {
		o.Rows = 1_000_000
	}
	if o.Files == 0 {
		o.Files = 8
	}
	if o.Nulls == 0 {
		o.Nulls = 2
	}
	if o.Rows < 0 || o.Rows > rowsMax {
		return nil, fault.Newf(fault.InvalidArgument, "rows %d: must be 1 to %d", o.Rows, rowsMax)
	}
	if o.Files < 0 || o.Files > min(o.Rows, filesMax) {
		return nil, fault.Newf(fault.InvalidArgument, "files %d: must be 1 to %d", o.Files, min(o.Rows, filesMax))
	}
	if o.Nulls > 100 {
		return nil, fault.Newf(fault.InvalidArgument, "nulls %d: must be at most 100 percent", o.Nulls)
	}
	statements := macros(max(o.Nulls, 0))
	for f := range o.Files {
		from, to := o.Rows*f/o.Files, o.Rows*(f+1)/o.Files
		sql := strings.NewReplacer("{rows}", fmt.Sprint(o.Rows), "{from}", fmt.Sprint(from), "{to}", fmt.Sprint(to)).Replace(generate)
		path := strings.ReplaceAll(filepath.Join(dir, fmt.Sprintf("hits.%d.parquet", f)), "'", "''")
		statements = append(statements, "COPY ("+sql+") TO '"+path+"' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)")
	}
	return statements, nil
}

// macros are the functions that the rows are drawn with. Each takes the row's
// number and a number of its own for each use.
func macros(nulls int) []string {
	words := "['alpha', 'bridge', 'castle', 'desert', 'engine', 'forest', 'garden', 'harbor', 'island', 'jungle', 'kettle', 'lantern', 'meadow', 'needle', 'orchid', 'planet', 'quarry', 'ribbon', 'summit', 'temple', 'umbrella', 'valley', 'window', 'yellow', 'zebra', 'автомобиль', 'погода', 'größe', 'señal']"
	return []string{
		// even: from 0 to below n, each as often.
		"CREATE OR REPLACE TEMP MACRO even(i, use, n) AS (hash(i, use) % n)::INTEGER",
		// low: from 0 to below n, low values far more often.
		"CREATE OR REPLACE TEMP MACRO low(i, use, n) AS least(floor(n * pow((hash(i, use) % 1000003) / 1000003.0::DOUBLE, 4)), n - 1)::INTEGER",
		// chance: 1 in p percent of the cases, else 0.
		"CREATE OR REPLACE TEMP MACRO chance(i, use, p) AS (hash(i, use) % 100 < p)::SMALLINT",
		fmt.Sprintf("CREATE OR REPLACE TEMP MACRO nul(i, use, v) AS CASE WHEN hash(i, use) %% 100 < %d THEN NULL ELSE v END", nulls),
		"CREATE OR REPLACE TEMP MACRO word(i, use) AS " + words + "[(1 + hash(i, use) % 29)::BIGINT]",
	}
}
