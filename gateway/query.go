package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/gateway/auth"
	"skein/internal/batch"
	"skein/internal/fault"
	"skein/internal/render"
	olapv1 "skein/proto/olap/v1"
)

const sqlBytesMax = 1 << 20

// Query implements OlapService.
func (s *Service) Query(ctx context.Context, req *olapv1.QueryRequest) (*olapv1.QueryResponse, error) {
	text, err := s.resultJSON(ctx, req.GetSql())
	if err != nil {
		return nil, fault.Status(err)
	}
	return &olapv1.QueryResponse{ResultJson: text}, nil
}

func (s *Service) resultJSON(ctx context.Context, sql string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.QueryTimeout)
	defer cancel()
	rows, err := s.rows(ctx, sql)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	out := limited{left: s.opts.ResultBytesMax}
	w := render.NewJSON(&out, rows.Schema())
	for {
		b, err := rows.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		if err := w.Write(b); err != nil {
			return "", err
		}
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return strings.TrimSuffix(out.text.String(), "\n"), nil
}

// limited is text that may grow only so far.
type limited struct {
	text bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, fault.New(fault.TooLarge, "the result is too large for result_json: ask for ?format=ndjson, csv or arrow, use Flight SQL, or add a LIMIT")
	}
	return l.text.Write(p)
}

// rows runs any statement. One that returns no rows, such as CREATE TABLE,
// needs the role admin and gives one row that counts the rows it changed. ctx
// must live until the rows are closed.
func (s *Service) rows(ctx context.Context, sql string) (batch.Reader, error) {
	if err := checkSQL(sql); err != nil {
		return nil, err
	}
	if isQuery(sql) {
		return s.coord.Query(ctx, sql, nil)
	}
	st, err := s.coord.Prepare(ctx, sql)
	if err != nil {
		return nil, err
	}
	if st.ReturnsRows() {
		return s.coord.Query(ctx, sql, nil)
	}
	if err := auth.Require(ctx, auth.Admin); err != nil {
		return nil, err
	}
	changed, err := s.coord.Execute(ctx, sql, nil)
	if err != nil {
		return nil, err
	}
	return counted(changed), nil
}

func checkSQL(sql string) error {
	switch {
	case strings.TrimSpace(sql) == "":
		return fault.New(fault.InvalidArgument, "sql is missing: send one statement")
	case len(sql) > sqlBytesMax:
		return fault.Newf(fault.TooLarge, "the statement has %d bytes, at most %d are allowed", len(sql), sqlBytesMax)
	case !utf8.ValidString(sql):
		return fault.New(fault.InvalidArgument, "the statement is not valid UTF-8")
	}
	return nil
}

// isQuery spares the common statements a Prepare: those that can only return
// rows. It need not know all of them.
func isQuery(sql string) bool {
	word := strings.TrimLeft(sql, " \t\r\n(")
	if i := strings.IndexFunc(word, func(r rune) bool { return r < 'A' || r > 'z' }); i >= 0 {
		word = word[:i]
	}
	return strings.EqualFold(word, "select") || strings.EqualFold(word, "from") || strings.EqualFold(word, "values")
}

// counted is the one row of a statement that returns none: NULL if the count
// is not known.
func counted(changed int64) batch.Reader {
	schema := arrow.NewSchema([]arrow.Field{{Name: "count", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	if col := b.Field(0).(*array.Int64Builder); changed < 0 {
		col.AppendNull()
	} else {
		col.Append(changed)
	}
	return batch.NewSlice(schema, b.NewRecordBatch())
}
