//go:build duckdb_arrow

package duck

/*
#include <stdint.h>
#include <stdlib.h>

// Arrow's C data and stream interfaces.

struct ArrowSchema {
	const char *format;
	const char *name;
	const char *metadata;
	int64_t flags;
	int64_t n_children;
	struct ArrowSchema **children;
	struct ArrowSchema *dictionary;
	void (*release)(struct ArrowSchema *);
	void *private_data;
};

struct ArrowArray;

struct ArrowArrayStream {
	int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *);
	int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *);
	const char *(*get_last_error)(struct ArrowArrayStream *);
	void (*release)(struct ArrowArrayStream *);
	void *private_data;
};

// lent is a stream, the one behind it, and the schema of both.
struct lent {
	struct ArrowArrayStream stream, rows;
	struct ArrowSchema schema;
};

static void keep_schema(struct ArrowSchema *s) { s->release = NULL; }

static void keep_stream(struct ArrowArrayStream *s) { s->release = NULL; }

static int lent_schema(struct ArrowArrayStream *s, struct ArrowSchema *out) {
	*out = ((struct lent *)s->private_data)->schema;
	out->release = keep_schema;
	return 0;
}

static int lent_next(struct ArrowArrayStream *s, struct ArrowArray *out) {
	struct ArrowArrayStream *rows = &((struct lent *)s->private_data)->rows;
	return rows->get_next(rows, out);
}

static const char *lent_error(struct ArrowArrayStream *s) {
	struct ArrowArrayStream *rows = &((struct lent *)s->private_data)->rows;
	return rows->get_last_error(rows);
}

static void lend(struct lent *l) {
	l->stream.get_schema = lent_schema;
	l->stream.get_next = lent_next;
	l->stream.get_last_error = lent_error;
	l->stream.release = keep_stream;
	l->stream.private_data = l;
}
*/
import "C"

import (
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/cdata"
	bind "github.com/duckdb/duckdb-go-bindings"
)

// lent is a reader as a C stream that keeps its schema: DuckDB asks for that of
// a view several times in each statement, and frees none that it is given.
type lent struct{ c *C.struct_lent }

// lend makes a stream of r, which the caller frees when nothing reads it any
// more.
func lend(r array.RecordReader) lent {
	l := lent{(*C.struct_lent)(C.calloc(1, C.sizeof_struct_lent))}
	cdata.ExportRecordReader(r, l.rows())
	cdata.ExportArrowSchema(r.Schema(), l.schema())
	C.lend(l.c)
	return l
}

func (l lent) rows() *cdata.CArrowArrayStream {
	return (*cdata.CArrowArrayStream)(unsafe.Pointer(&l.c.rows))
}

func (l lent) schema() *cdata.CArrowSchema {
	return (*cdata.CArrowSchema)(unsafe.Pointer(&l.c.schema))
}

// stream is what DuckDB reads.
func (l lent) stream() bind.ArrowStream {
	return bind.ArrowStream{Ptr: unsafe.Pointer(&l.c.stream)}
}

func (l lent) free() {
	cdata.ReleaseCArrowSchema(l.schema())
	cdata.ReleaseCArrowArrayStream(l.rows())
	C.free(unsafe.Pointer(l.c))
}
