package corpus

import (
	"embed"
	"path"
	"strings"

	"skein/internal/slt"
)

//go:embed tables.sql files/*.slt
var texts embed.FS

// Setup is one CREATE TABLE or INSERT statement for each entry, without
// semicolons, in order.
func Setup() []string {
	return strings.Split(strings.TrimSuffix(strings.TrimSpace(read("tables.sql")), ";"), ";\n")
}

// Files are all files, by name.
func Files() ([]slt.File, error) {
	entries, err := texts.ReadDir("files")
	if err != nil {
		return nil, err
	}
	files := make([]slt.File, len(entries))
	for i, e := range entries {
		if files[i], err = slt.Parse(e.Name(), read(path.Join("files", e.Name()))); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func read(name string) string {
	text, err := texts.ReadFile(name)
	if err != nil {
		panic("BUG: a file is missing: " + err.Error())
	}
	return string(text)
}
