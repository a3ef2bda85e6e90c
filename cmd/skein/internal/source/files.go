package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// filesMax bounds the files of one load.
const filesMax = 100_000

// Formats are the names of file formats.
var Formats = []string{"parquet", "csv", "json"}

// File is one file of a load.
type File struct {
	Path   string // absolute
	Format string // one of Formats
	Bytes  int64
}

// Find expands names and patterns (*, ?, [a-z]) to files. A name that exists is
// never taken as a pattern. Each file's format is told by its name, unless
// format is given.
func Find(patterns []string, format string) ([]File, error) {
	var files []File
	seen := map[string]bool{}
	for _, pattern := range patterns {
		paths, err := expand(pattern)
		if err != nil {
			return nil, err
		}
		for _, p := range paths {
			f, err := inspect(p, format)
			if err != nil {
				return nil, err
			}
			if !seen[f.Path] {
				seen[f.Path] = true
				files = append(files, f)
			}
		}
		if len(files) > filesMax {
			return nil, fmt.Errorf("more than %d files: load them in parts", filesMax)
		}
	}
	return files, nil
}

func expand(pattern string) ([]string, error) {
	if _, err := os.Stat(pattern); !errors.Is(err, fs.ErrNotExist) {
		return []string{pattern}, nil
	}
	if !strings.ContainsAny(pattern, "*?[") {
		return nil, fmt.Errorf("%s: no such file", pattern)
	}
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("%s: bad pattern", pattern)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s: no file matches", pattern)
	}
	return paths, nil
}

func inspect(path, format string) (File, error) {
	info, err := os.Stat(path)
	if err != nil {
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	if info.IsDir() {
		return File{}, fmt.Errorf("%s: is a directory: name its files, such as '%s'", path, filepath.Join(path, "*.parquet"))
	}
	if format == "" {
		if format = formatOf(path); format == "" {
			return File{}, fmt.Errorf("%s: format unknown by its name: give --file-format %s", path, strings.Join(Formats, "|"))
		}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return File{}, err
	}
	// The real path is what DuckDB compares with the directories it may read.
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	return File{Path: abs, Format: format, Bytes: info.Size()}, nil
}

// formatOf tells the format by the name's ending; "" if it is unknown.
func formatOf(path string) string {
	name := strings.ToLower(filepath.Base(path))
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
	switch filepath.Ext(name) {
	case ".parquet", ".parq", ".pq":
		return "parquet"
	case ".csv", ".tsv", ".tbl":
		return "csv"
	case ".json", ".ndjson", ".jsonl":
		return "json"
	}
	return ""
}
