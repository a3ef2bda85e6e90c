package source

import (
	"strings"

	"skein/internal/fault"
)

// IsGuess tells an error of DuckDB's that may come from a column's type having
// been guessed wrongly from the first rows.
func IsGuess(err error) bool {
	if fault.CodeOf(err) != fault.InvalidArgument {
		return false
	}
	text := err.Error()
	return strings.Contains(text, "sample_size") || strings.Contains(text, "Error when converting column")
}
