// Package rebuild makes the index anew from the data files themselves, when the
// catalog is lost and no snapshot is left.
//
// It owns what the path of an object tells, and which of several files of one
// day are in the index. It does not list objects or read Parquet: both come in.
package rebuild

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"skein/internal/fault"
	"skein/meta"
)

const (
	suffix      = ".parquet"
	unit        = "rebuilt"
	skippedMax  = 1_000     // objects that a result names
	groupMax    = 1_000_000 // files of one table, id and day
	parts       = 4         // of a path
	reasonOther = "not the path of a data file"
)

// Path is what the key of a data file tells: TABLE/SEGMENT/YYYY-MM-DD/NUMBER.parquet.
type Path struct {
	Table   string
	Segment string // of the id, as meta.EncodeID makes it; or of a bucket
	Day     string
	Number  int64
}

// ParsePath reads the key of an object; ok is false for what is no data file.
func ParsePath(key string) (p Path, ok bool) {
	s := strings.Split(key, "/")
	if len(s) != parts || s[1] == "" {
		return p, false
	}
	digits, found := strings.CutSuffix(s[3], suffix)
	number, err := strconv.ParseInt(digits, 10, 64)
	day, dayErr := time.Parse(time.DateOnly, s[2])
	table, nameErr := meta.ValidateTableName(s[0])
	if !found || err != nil || number < 0 || dayErr != nil || day.Format(time.DateOnly) != s[2] || nameErr != nil || table != s[0] {
		return p, false
	}
	p = Path{Table: table, Segment: s[1], Day: s[2], Number: number}
	return p, meta.ObjectPath(p.Table, p.Segment, p.Day, p.Number) == key
}

// DecodeID returns the id that meta.EncodeID made a segment of; ok is false for
// meta.NoID and for segments that were cut, which only the file's rows tell. A
// bucket's segment is an id's too: only the table tells.
func DecodeID(segment string) (id string, ok bool) {
	id, err := url.PathUnescape(segment)
	if err != nil || id == "" || meta.EncodeID(id) != segment {
		return "", false
	}
	return id, true
}

// Object is one that the store lists.
type Object struct {
	Key  string
	Size int64
}

// Footer is what a Parquet file tells of itself.
type Footer struct {
	File     meta.File // its entry; path, day and size are those of the object
	Source   int       // the caller's: it comes back with the file
	Replaces []string  // paths of the files that it was merged from
}

// Found is a file for the index.
type Found struct {
	File   meta.File
	Source int
}

// Result is what a rebuild found.
type Result struct {
	Files    int64
	Rows     int64
	Replaced int64             // files that others were merged from
	Skipped  map[string]string // objects left out -> why; some, if there are very many
	SkippedN int64
}

// Files turns a listing, ordered by key, into entries of the index, which put
// gets in pages of one table, of meta.PageMax at most. footer reads what a file
// tells; a file that it cannot read (FailedPrecondition or NotFound) is left
// out and told of, any other error ends the rebuild.
func Files(ctx context.Context, objects iter.Seq2[Object, error], footer func(context.Context, Path, Object) (Footer, error),
	put func(table string, files []Found) error) (Result, error) {
	r := rebuild{footer: footer, put: put, result: Result{Skipped: map[string]string{}}}
	last := ""
	for o, err := range objects {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return r.result, err
		}
		if o.Key <= last {
			return r.result, fault.Newf(fault.Internal, "rebuild: object %s is listed after %s", o.Key, last)
		}
		last = o.Key
		if err := r.object(ctx, o); err != nil {
			return r.result, fmt.Errorf("rebuild: object %s: %w", o.Key, err)
		}
	}
	if err := r.endGroup(); err != nil {
		return r.result, err
	}
	return r.result, r.flush()
}

// rebuild is one run. Files are merged within one table, id and day only, so
// that such a group is all that must be known at once.
type rebuild struct {
	footer   func(context.Context, Path, Object) (Footer, error)
	put      func(string, []Found) error
	group    Path // with Number 0
	files    []Found
	replaced map[string]bool
	table    string
	page     []Found
	result   Result
}

func (r *rebuild) object(ctx context.Context, o Object) error {
	p, ok := ParsePath(o.Key)
	if !ok {
		r.skip(o.Key, reasonOther)
		return nil
	}
	group := p
	group.Number = 0
	if group != r.group {
		if err := r.endGroup(); err != nil {
			return err
		}
		r.group, r.replaced = group, map[string]bool{}
	}
	f, err := r.footer(ctx, p, o)
	if code := fault.CodeOf(err); err != nil && (code == fault.FailedPrecondition || code == fault.NotFound) {
		r.skip(o.Key, err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	for _, path := range f.Replaces {
		r.replaced[path] = true
	}
	if len(r.files) == groupMax {
		return fault.Newf(fault.ResourceExhausted, "more than %d files of one id and day", groupMax)
	}
	f.File.Path, f.File.Day, f.File.Bytes = o.Key, p.Day, o.Size
	if f.File.Unit == "" {
		f.File.Unit = unit
	}
	r.files = append(r.files, Found{f.File, f.Source})
	return nil
}

func (r *rebuild) skip(key, why string) {
	r.result.SkippedN++
	if len(r.result.Skipped) < skippedMax {
		r.result.Skipped[key] = why
	}
}

// endGroup hands on the files of a group that no other one replaces.
func (r *rebuild) endGroup() error {
	if r.group.Table != r.table {
		if err := r.flush(); err != nil {
			return err
		}
		r.table = r.group.Table
	}
	n := len(r.files)
	r.files = slices.DeleteFunc(r.files, func(f Found) bool { return r.replaced[f.File.Path] })
	r.result.Replaced += int64(n - len(r.files))
	for _, f := range r.files {
		r.result.Files++
		r.result.Rows += f.File.Rows
		if r.page = append(r.page, f); len(r.page) == meta.PageMax {
			if err := r.flush(); err != nil {
				return err
			}
		}
	}
	r.files = nil
	return nil
}

func (r *rebuild) flush() error {
	if len(r.page) == 0 {
		return nil
	}
	page := r.page
	r.page = nil
	return r.put(r.table, page)
}
