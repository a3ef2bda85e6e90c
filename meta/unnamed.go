package meta

import (
	"context"
	"errors"
	"slices"
)

// Unnamed are those of the files that the index of the table does not name.
// Who stored files and could not commit them asks before it deletes them: a
// rebuild may have found them meanwhile. A table that is gone names none.
func Unnamed(ctx context.Context, s interface {
	Listing(ctx context.Context, table string) (Listing, error)
}, table string, files []File) ([]File, error) {
	l, err := s.Listing(ctx, table)
	if errors.Is(err, ErrTableNotFound) {
		return files, nil
	}
	if err != nil {
		return nil, err
	}
	named := make(map[string]bool, len(l.Files))
	for _, f := range l.Files {
		named[f.Path] = true
	}
	return slices.DeleteFunc(slices.Clone(files), func(f File) bool { return named[f.Path] }), nil
}
