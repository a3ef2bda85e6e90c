package client

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"go.uber.org/goleak"

	"skein/internal/batch"
	"skein/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func values(t *testing.T, r batch.Reader) (all []int64, err error) {
	t.Helper()
	defer r.Close()
	for {
		b, err := r.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, b.Column(0).(*array.Int64).Int64Values()...)
	}
}

func TestRun(t *testing.T) {
	f, c := serve(t, Options{})
	res, err := c.Run(t.Context(), "select")
	if err != nil {
		t.Fatal(err)
	}
	if !res.Rows.Schema().Equal(numbers) {
		t.Errorf("schema %s", res.Rows.Schema())
	}
	got, err := values(t, res.Rows)
	if err != nil || !slices.Equal(got, []int64{1, 2, 3, 1, 2, 3}) {
		t.Errorf("got %v, %v", got, err)
	}
	res, err = c.Run(t.Context(), "update")
	if err != nil || res.Rows != nil || res.Changed != 7 {
		t.Errorf("update: %+v, %v", res, err)
	}
	_, err = c.Run(t.Context(), "bad")
	if fault.CodeOf(err) != fault.InvalidArgument || fault.Details(err)["column"] != "2" || err.Error() != "no such thing" {
		t.Errorf("bad: %v %v", err, fault.Details(err))
	}
	res, err = c.Run(t.Context(), "broken")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := values(t, res.Rows); fault.CodeOf(err) != fault.Unavailable || err.Error() != "a worker is gone" {
		t.Errorf("broken: %v", err)
	}
	if f.open != 0 {
		t.Errorf("%d statements left open", f.open)
	}
}

// Closing a result that was not read to its end stops the server's stream, and
// so does the end of the statement's context.
func TestRunStops(t *testing.T) {
	f, c := serve(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	for _, stop := range []func(batch.Reader){func(r batch.Reader) { r.Close() }, func(batch.Reader) { cancel() }} {
		res, err := c.Run(ctx, "forever")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := res.Rows.Next(ctx); err != nil {
			t.Fatal(err)
		}
		stop(res.Rows)
		<-f.stopped
		if ctx.Err() != nil {
			for err == nil {
				_, err = res.Rows.Next(ctx)
			}
			if fault.CodeOf(err) != fault.Canceled {
				t.Errorf("after cancel: %v", err)
			}
		}
		res.Rows.Close()
	}
	if f.open != 0 {
		t.Errorf("%d statements left open", f.open)
	}
}

func TestCredentials(t *testing.T) {
	cases := []struct {
		o    Options
		want []string
	}{
		{Options{}, nil},
		{Options{User: "ann", Password: "p:w"}, []string{"Basic " + base64.StdEncoding.EncodeToString([]byte("ann:p:w"))}},
		{Options{Token: "abc"}, []string{"Bearer abc"}},
	}
	for _, c := range cases {
		f, cl := serve(t, c.o)
		if _, err := cl.Run(t.Context(), "update"); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(f.auth, c.want) {
			t.Errorf("got %v, want %v", f.auth, c.want)
		}
	}
}

func TestIngest(t *testing.T) {
	f, c := serve(t, Options{})
	big := wide(100, 200<<10) // 20 MB: more than one message
	cases := []struct {
		name    string
		in      Ingest
		batches []arrow.RecordBatch
		rows    int64
		missing flightsql.TableDefinitionOptionsTableNotExistOption
		exists  flightsql.TableDefinitionOptionsTableExistsOption
		options map[string]string
	}{
		{"create_append", Ingest{Table: "t", Mode: "create_append", IDColumn: "n", TimeColumn: "n"}, []arrow.RecordBatch{batchOf(1, 2), batchOf(3)}, 3,
			flightsql.TableDefinitionOptionsTableNotExistOptionCreate, flightsql.TableDefinitionOptionsTableExistsOptionAppend, map[string]string{"id": "n", "time": "n"}},
		{"append", Ingest{Table: "t", Mode: "append"}, []arrow.RecordBatch{batchOf(1)}, 1,
			flightsql.TableDefinitionOptionsTableNotExistOptionFail, flightsql.TableDefinitionOptionsTableExistsOptionAppend, nil},
		{"create, no rows", Ingest{Table: "t", Mode: "create"}, nil, 0,
			flightsql.TableDefinitionOptionsTableNotExistOptionCreate, flightsql.TableDefinitionOptionsTableExistsOptionFail, nil},
		{"replace, large rows", Ingest{Table: "t", Mode: "replace"}, []arrow.RecordBatch{big}, 100,
			flightsql.TableDefinitionOptionsTableNotExistOptionCreate, flightsql.TableDefinitionOptionsTableExistsOptionReplace, nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			schema := numbers
			if len(tc.batches) > 0 {
				schema = tc.batches[0].Schema()
			}
			r := batch.NewSlice(schema, tc.batches...)
			defer r.Close()
			var seen, size int64
			tc.in.Sent = func(rows, bytes int64) { seen, size = seen+rows, size+bytes }
			n, err := c.Ingest(t.Context(), tc.in, r)
			<-f.stopped
			if err != nil || n != tc.rows || seen != tc.rows || (size > 0) != (tc.rows > 0) {
				t.Errorf("%d rows, %d seen, %d bytes, %v", n, seen, size, err)
			}
			if f.table != "t" || f.ifMissing != tc.missing || f.ifExists != tc.exists || !maps.Equal(f.options, tc.options) {
				t.Errorf("server got %s %v %v %v", f.table, f.ifMissing, f.ifExists, f.options)
			}
			for _, rows := range f.batches {
				if len(f.batches) > 1 && rows*(200<<10) > sendBytes {
					t.Errorf("a message of %d rows", rows)
				}
			}
		})
	}
}

// failing gives one batch and then, when that has arrived, an error.
type failing struct {
	*batch.Slice
	arrived <-chan struct{}
	err     error
}

func (f failing) Next(ctx context.Context) (arrow.RecordBatch, error) {
	b, err := f.Slice.Next(ctx)
	if errors.Is(err, io.EOF) {
		<-f.arrived
		err = f.err
	}
	return b, err
}

// When reading fails half way, the server must not see a stream that ends
// well: it would keep what it has.
func TestIngestSourceFails(t *testing.T) {
	f, c := serve(t, Options{})
	broken := errors.New("file is cut off")
	r := failing{batch.NewSlice(numbers, batchOf(1, 2)), f.began, broken}
	defer r.Close()
	if _, err := c.Ingest(t.Context(), Ingest{Table: "t", Mode: "append"}, r); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	<-f.stopped
	if f.ingestErr == nil || errors.Is(f.ingestErr, io.EOF) {
		t.Errorf("the server saw the stream end with %v", f.ingestErr)
	}
}

func TestIngestRefused(t *testing.T) {
	_, c := serve(t, Options{})
	big := make([]arrow.RecordBatch, 20)
	for i := range big {
		big[i] = wide(10, 200<<10)
	}
	r := batch.NewSlice(big[0].Schema(), big...)
	defer r.Close()
	_, err := c.Ingest(t.Context(), Ingest{Table: "refused", Mode: "append"}, r)
	if fault.CodeOf(err) != fault.NotFound || err.Error() != "table refused does not exist" {
		t.Errorf("got %v", err)
	}
}

func TestAddress(t *testing.T) {
	cases := []struct {
		text, addr string
		secure     bool
		err        string
	}{
		{"127.0.0.1:8815", "127.0.0.1:8815", false, ""},
		{"grpc://db:1", "db:1", false, ""},
		{"grpc+tcp://db:1/", "db:1", false, ""},
		{"grpc+tls://db:1", "db:1", true, ""},
		{":8815", "127.0.0.1:8815", false, ""},
		{"[::1]:8815", "[::1]:8815", false, ""},
		{"db", "", false, "want host:port"},
		{"db:", "", false, "want host:port"},
		{"http://db:8080", "", false, "the server's gRPC port"},
	}
	for _, c := range cases {
		addr, secure, err := address(c.text)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", c.text, err)
			}
			continue
		}
		if err != nil || addr != c.addr || secure != c.secure {
			t.Errorf("%s: %s %v %v", c.text, addr, secure, err)
		}
	}
}

func TestBadCA(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(Options{Addr: "db:1", CAFile: path}); err == nil || !strings.Contains(err.Error(), "holds no PEM certificate") {
		t.Errorf("got %v", err)
	}
}
