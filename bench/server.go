package bench

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-adbc/go/adbc"
	"github.com/apache/arrow-adbc/go/adbc/driver/flightsql"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"skein/internal/duck"
	"skein/internal/fault"
)

const (
	connectTimeout  = 10 * time.Second
	messageBytesMax = 64 << 20
)

// server is the one that is measured, over ADBC. One goroutine uses it.
type server struct {
	addr string
	db   adbc.Database
	conn adbc.Connection
}

// dialServer connects and asks something, so that a missing server shows at
// once. The caller closes it.
func dialServer(ctx context.Context, o Options) (*server, error) {
	options, err := databaseOptions(o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	s := &server{addr: o.Addr}
	if s.db, err = flightsql.NewDriver(memory.DefaultAllocator).NewDatabase(options); err != nil {
		return nil, s.fault(err)
	}
	if s.conn, err = s.db.Open(ctx); err == nil {
		_, err = s.scalar(ctx, "SELECT 1")
	}
	if err != nil {
		s.close()
		return nil, s.fault(err)
	}
	return s, nil
}

func databaseOptions(o Options) (map[string]string, error) {
	scheme := "grpc+tcp://"
	if o.TLS || o.CAFile != "" {
		scheme = "grpc+tls://"
	}
	options := map[string]string{
		adbc.OptionKeyURI:              scheme + o.Addr,
		flightsql.OptionWithMaxMsgSize: strconv.Itoa(messageBytesMax),
	}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, invalid("certificate authority: %w", err)
		}
		options[flightsql.OptionSSLRootCerts] = string(pem)
	}
	switch {
	case o.Token != "":
		options[flightsql.OptionAuthorizationHeader] = "Bearer " + o.Token
	case o.User != "":
		options[adbc.OptionKeyUsername], options[adbc.OptionKeyPassword] = o.User, o.Password
	}
	return options, nil
}

func (s *server) close() {
	if s.conn != nil {
		_ = s.conn.Close()
	}
	_ = s.db.Close()
}

// query implements engine.
func (s *server) query(ctx context.Context, sql string) (*result, error) {
	var res *result
	err := s.stream(ctx, sql, func(r array.RecordReader) (err error) {
		res, err = drain(r)
		return err
	})
	return res, err
}

// stream runs sql and gives its rows to read, which does not keep them.
func (s *server) stream(ctx context.Context, sql string, read func(array.RecordReader) error) error {
	stmt, err := s.conn.NewStatement()
	if err != nil {
		return s.fault(err)
	}
	defer stmt.Close()
	if err := stmt.SetSqlQuery(sql); err != nil {
		return s.fault(err)
	}
	r, _, err := stmt.ExecuteQuery(ctx)
	if err != nil {
		return s.fault(err)
	}
	defer r.Release()
	return s.fault(read(r))
}

// scalar is the one value of a query, as text.
func (s *server) scalar(ctx context.Context, sql string) (string, error) {
	res, err := s.query(ctx, sql)
	if err != nil {
		return "", err
	}
	defer res.release()
	for _, b := range res.batches {
		if b.NumRows() > 0 && b.NumCols() > 0 {
			return strings.Clone(b.Column(0).ValueStr(0)), nil // it points into the batch
		}
	}
	return "", fault.Newf(fault.Internal, "the server gave no row for %s", sql)
}

// count is how many rows a table has; false if there is none.
func (s *server) count(ctx context.Context, table string) (int64, bool, error) {
	if _, err := s.conn.GetTableSchema(ctx, nil, nil, table); err != nil {
		err = s.fault(err)
		if fault.CodeOf(err) == fault.NotFound {
			return 0, false, nil
		}
		return 0, false, err
	}
	text, err := s.scalar(ctx, "SELECT count(*) FROM "+duck.Ident(table))
	if err != nil {
		return 0, false, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, true, err
}

// ingest makes or replaces a table from a stream, whole or not at all, and
// returns the rows stored.
func (s *server) ingest(ctx context.Context, table, mode string, rows array.RecordReader) (int64, error) {
	stmt, err := s.conn.NewStatement()
	if err != nil {
		return 0, s.fault(err)
	}
	defer stmt.Close()
	for _, o := range [][2]string{{adbc.OptionKeyIngestTargetTable, table}, {adbc.OptionKeyIngestMode, mode}} {
		if err := stmt.SetOption(o[0], o[1]); err != nil {
			return 0, s.fault(err)
		}
	}
	if err := stmt.BindStream(ctx, rows); err != nil {
		return 0, s.fault(err)
	}
	n, err := stmt.ExecuteUpdate(ctx)
	return n, s.fault(err)
}

// version is the server's name and version, as Flight SQL tells them.
func (s *server) version(ctx context.Context) (string, error) {
	r, err := s.conn.GetInfo(ctx, []adbc.InfoCode{adbc.InfoVendorName, adbc.InfoVendorVersion})
	if err != nil {
		return "", s.fault(err)
	}
	defer r.Release()
	var words []string
	for r.Next() {
		values, ok := r.RecordBatch().Column(1).(*array.DenseUnion)
		for i := 0; ok && i < values.Len(); i++ {
			if names, ok := values.Field(values.ChildID(i)).(*array.String); ok {
				words = append(words, strings.Clone(names.Value(int(values.ValueOffset(i)))))
			}
		}
	}
	return strings.Join(words, " "), s.fault(r.Err())
}

// fault classes the driver's errors and says what to do when no server is
// there.
func (s *server) fault(err error) error {
	var e adbc.Error
	if !errors.As(err, &e) {
		return fault.From(err)
	}
	msg := strings.TrimPrefix(e.Msg, "[FlightSQL] ")
	switch e.Code {
	case adbc.StatusIO:
		if strings.Contains(msg, "connection error") || strings.Contains(msg, "refused") {
			return fault.Newf(fault.Unavailable, "no server answers at %s: start one with `skein serve`, or give its gRPC address: %s", s.addr, msg)
		}
		return fault.New(fault.Unavailable, msg)
	case adbc.StatusNotFound:
		return fault.New(fault.NotFound, msg)
	case adbc.StatusAlreadyExists:
		return fault.New(fault.AlreadyExists, msg)
	case adbc.StatusInvalidArgument:
		return fault.New(fault.InvalidArgument, msg)
	case adbc.StatusUnauthenticated:
		return fault.New(fault.Unauthenticated, msg)
	case adbc.StatusUnauthorized:
		return fault.New(fault.PermissionDenied, msg)
	case adbc.StatusNotImplemented:
		return fault.New(fault.Unimplemented, msg)
	case adbc.StatusTimeout:
		return fault.New(fault.DeadlineExceeded, msg)
	case adbc.StatusCancelled:
		return fault.New(fault.Canceled, msg)
	}
	return fault.New(fault.Internal, msg)
}
