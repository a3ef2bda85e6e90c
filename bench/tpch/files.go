package tpch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"skein/internal/fault"
)

// partsMax bounds the files of one table.
const partsMax = 100_000

// Files finds the Parquet files of every table in a directory: TABLE.parquet,
// or the parts TABLE/**/*.parquet in the order of their numbers, so that it may
// be the objects directory of a server of one node. The paths are
// absolute, free of symbolic links. A table without files is NotFound.
func Files(dir string) (map[string][]string, error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Newf(fault.NotFound, "data directory %s: not found: make one with `tpchgen-cli parquet -s 1 --output-dir %s`", dir, dir)
	}
	if err != nil {
		return nil, fault.Newf(fault.InvalidArgument, "data directory: %w", err)
	}
	if !info.IsDir() {
		return nil, fault.Newf(fault.InvalidArgument, "data directory %s: is a file", dir)
	}
	if dir, err = filepath.Abs(dir); err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, fault.Newf(fault.InvalidArgument, "data directory: %w", err)
	}
	files := map[string][]string{}
	for _, table := range tables {
		if files[table], err = tableFiles(dir, table); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func tableFiles(dir, table string) ([]string, error) {
	whole := filepath.Join(dir, table+".parquet")
	_, wholeErr := os.Stat(whole)
	parts, err := partFiles(filepath.Join(dir, table))
	switch {
	case err != nil:
		return nil, err
	case wholeErr == nil && len(parts) > 0:
		return nil, fault.Newf(fault.InvalidArgument, "data directory %s: has both %s.parquet and %s/*.parquet: remove one", dir, table, table)
	case wholeErr == nil:
		return []string{whole}, nil
	case len(parts) == 0:
		return nil, fault.Newf(fault.NotFound, "data directory %s: has neither %s.parquet nor %s/*.parquet", dir, table, table)
	case len(parts) > partsMax:
		return nil, fault.Newf(fault.InvalidArgument, "data directory %s: %s has %d parts, more than %d", dir, table, len(parts), partsMax)
	}
	return parts, nil
}

// partFiles lists the Parquet files below a directory; none if it is missing.
func partFiles(dir string) ([]string, error) {
	var parts []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && filepath.Ext(path) == ".parquet" {
			parts = append(parts, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Newf(fault.InvalidArgument, "data directory: %w", err)
	}
	slices.SortFunc(parts, byPart)
	return parts, nil
}

// byPart orders orders.2.parquet before orders.10.parquet.
func byPart(a, b string) int {
	if na, nb := partNumber(a), partNumber(b); na != nb {
		return na - nb
	}
	return strings.Compare(a, b)
}

func partNumber(path string) int {
	name := strings.TrimSuffix(filepath.Base(path), ".parquet")
	n, err := strconv.Atoi(name[strings.LastIndexByte(name, '.')+1:])
	if err != nil {
		return 0
	}
	return n
}
