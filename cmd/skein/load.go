package main

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/term"

	"skein/cmd/skein/internal/client"
	"skein/cmd/skein/internal/source"
	"skein/internal/fault"
)

type loadCmd struct {
	Files      []string `arg:"" name:"file" help:"Parquet, CSV (.csv, .tsv), or JSON (.json, .ndjson, .jsonl) files; CSV and JSON may end in .gz. Patterns such as 'data/*.parquet' may be quoted."`
	Table      string   `short:"t" required:"" help:"The table. It is made when it is missing." placeholder:"NAME"`
	ID         string   `name:"id" help:"Column whose values partition a new table, such as a customer or a device." placeholder:"COLUMN"`
	Time       string   `help:"Column whose day partitions a new table; the day of loading if not given." placeholder:"COLUMN"`
	Mode       string   `help:"create_append makes the table or appends to it; append wants the table to exist, create wants it not to; replace drops it first." enum:"create_append,append,create,replace" default:"create_append" placeholder:"MODE"`
	FileFormat string   `help:"Format of all files, where their names do not tell it: parquet, csv or json." enum:",parquet,csv,json" default:"" placeholder:"NAME"`
	SampleRows int      `help:"Rows of CSV and JSON that columns' types are guessed from; -1 reads all rows twice." default:"200000" placeholder:"N"`
	Quiet      bool     `short:"q" help:"Print nothing but errors."`

	Connection connectFlags `embed:""`
}

// Help is shown by kong.
func (*loadCmd) Help() string {
	return `All files are loaded in one statement: when it fails, the table is as it was before. The files may have
different columns; they are united by name, and a column that a file lacks is NULL there.

    skein load --table lineitem 'tpch/lineitem*.parquet'
    skein load --table events --id device --time ts events-2024-*.csv.gz
    skein load --table users --mode replace users.ndjson`
}

// Validate is called by kong.
func (c *loadCmd) Validate() error {
	if c.SampleRows == 0 || c.SampleRows < -1 {
		return errors.New("--sample-rows must be a number of rows, or -1 for all")
	}
	return nil
}

// Run is called by kong.
func (c *loadCmd) Run(t *terminal) error {
	files, err := source.Find(c.Files, c.FileFormat)
	if err != nil {
		return err
	}
	cl, err := c.Connection.dial()
	if err != nil {
		return usageError{err}
	}
	defer cl.Close()
	ctx, stop := interruptible()
	defer stop()
	start := time.Now()
	src, err := source.Open(ctx, files, source.Options{SampleRows: c.SampleRows})
	if err != nil {
		return c.advise(err)
	}
	defer src.Close()
	in := client.Ingest{Table: c.Table, Mode: c.Mode}
	if in.IDColumn, err = column(src, "--id", c.ID); err != nil {
		return err
	}
	if in.TimeColumn, err = column(src, "--time", c.Time); err != nil {
		return err
	}
	if !c.Quiet && term.IsTerminal(int(t.err.Fd())) {
		p := newProgress(t.err, src.RowsTotal)
		defer p.clear()
		in.Sent = p.add
	}
	rows, err := cl.Ingest(ctx, in, src)
	if err != nil {
		return c.advise(err)
	}
	if c.Quiet {
		return nil
	}
	_, err = fmt.Fprintln(t.out, loaded(rows, len(files), time.Since(start)))
	return err
}

// column finds the column that a flag names.
func column(src *source.Source, flag, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	name, err := src.Column(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	return name, nil
}

// advise adds what to do when a type was guessed from too few rows.
func (c *loadCmd) advise(err error) error {
	if c.SampleRows > 0 && source.IsGuess(err) {
		return fault.Newf(fault.CodeOf(err), "%w (nothing was loaded; --sample-rows=-1 looks at all rows before it chooses types)", err)
	}
	return err
}

// loaded is such as "loaded 6,001,215 rows from 8 files in 12.3 s (488,000 rows/s)".
func loaded(rows int64, files int, took time.Duration) string {
	rate := int64(float64(rows) / max(took.Seconds(), 1e-3))
	for scale := int64(1); ; scale *= 10 { // three digits say enough
		if rate/scale < 1000 {
			rate = rate / scale * scale
			break
		}
	}
	return fmt.Sprintf("loaded %s from %s in %.1f s (%s/s)", count(rows, "row"), count(int64(files), "file"), took.Seconds(), count(rate, "row"))
}
