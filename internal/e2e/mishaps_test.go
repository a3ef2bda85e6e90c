package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"skein/bench/answer"
	"skein/bench/tpch"
)

// mishapsMemory is what a query of a cluster with mishaps may keep between its
// stages: more than TPC-H needs, less than the statement that asks for too much.
const mishapsMemory = "256MiB"

// refused are statements that fail wherever they run, with their code and words
// of the message.
var refused = map[string]struct {
	sql  string
	code codes.Code
	says string
}{
	"unknown column": {"SELECT l_orderky, count(*) FROM lineitem GROUP BY 1", codes.InvalidArgument, "l_orderkey"},
	"one bad row": {`SELECT l_linenumber, sum(CASE WHEN l_orderkey = (SELECT max(o_orderkey) FROM orders) THEN CAST(l_comment AS INTEGER) ELSE 1 END)
		FROM lineitem GROUP BY 1`, codes.InvalidArgument, "INT32"},
	"overflow":         {"SELECT sum(l_orderkey * 9223372036854775807) FROM lineitem", codes.InvalidArgument, "verflow"},
	"too much is kept": {"SELECT count(*) FROM (SELECT l_orderkey, repeat(l_comment, 60) AS c, count(*) FROM lineitem GROUP BY ALL)", codes.ResourceExhausted, "--query-memory"},
}

// mishaps makes queries fail for other reasons than a node's failure while
// chaos goes on, and counts how often each ended as it must.
type mishaps struct {
	*chaos
	store *minio.Client
	ended map[string]int
}

// happen lets one mishap follow the other until ctx ends.
func (m *mishaps) happen(ctx context.Context) {
	kinds := slices.Concat(slices.Sorted(maps.Keys(refused)), []string{"division by zero", "vanished client", "missing object", "damaged object"})
	for i := 0; ctx.Err() == nil; i++ {
		node := m.living()
		if node < 0 {
			continue
		}
		kind := kinds[i%len(kinds)]
		var err error
		switch kind {
		case "division by zero":
			err = m.divide(node)
		case "vanished client":
			err = m.vanish(node)
		case "missing object", "damaged object":
			err = m.spoil(i, node, kind == "damaged object")
		default:
			err = m.refused(node, kind)
		}
		switch {
		case err == nil:
			m.ended[kind]++
		case !slices.Contains(chaosErrors, status.Code(err)):
			m.t.Errorf("%s on %s: %v", kind, m.cluster.Nodes[node].ID, err)
		}
		time.Sleep(rand.N(time.Second)) // most of the time is for the right queries
	}
}

func (m *mishaps) answer(node int, sql string) (answer.Answer, error) {
	ctx, cancel := context.WithTimeout(m.t.Context(), chaosQuery)
	defer cancel()
	return flightAnswer(ctx, m.clients[node], sql)
}

func (m *mishaps) refused(node int, kind string) error {
	want := refused[kind]
	a, err := m.answer(node, want.sql)
	switch {
	case err == nil && want.code == codes.ResourceExhausted:
		return m.wantRows(node, a, "SELECT count(*) FROM (SELECT DISTINCT l_orderkey, l_comment FROM lineitem)")
	case err == nil:
		return fmt.Errorf("an answer of %d rows", len(a.Rows))
	case status.Code(err) == want.code && strings.Contains(err.Error(), want.says):
		return nil
	case want.code == codes.ResourceExhausted && status.Code(err) == want.code:
		return fmt.Errorf("want %q: %v", want.says, err) //nolint:errorlint // it must not count as busy
	}
	return err
}

// wantRows compares an answer with another statement's: where one worker is
// left nothing is kept between stages, and so never too much.
func (m *mishaps) wantRows(node int, got answer.Answer, sql string) error {
	want, err := m.answer(node, sql)
	if err == nil && fmt.Sprint(got.Rows) != fmt.Sprint(want.Rows) {
		return fmt.Errorf("got %v, want %v", got.Rows, want.Rows)
	}
	return err
}

func (m *mishaps) divide(node int) error {
	a, err := m.answer(node, `SELECT count(l_orderkey // nil) + count(l_orderkey % nil) + count_if(NOT isinf(l_orderkey / nil)) AS wrong
		FROM (SELECT l_orderkey, l_linenumber - l_linenumber AS nil FROM lineitem)`)
	if err == nil && (len(a.Rows) != 1 || fmt.Sprint(a.Rows[0][0]) != "0") {
		return fmt.Errorf("got %v", a.Rows)
	}
	return err
}

// vanish is a client that goes away in the middle.
func (m *mishaps) vanish(node int) error {
	ctx, cancel := context.WithTimeout(m.t.Context(), rand.N(500*time.Millisecond))
	defer cancel()
	q := tpch.Queries()[20]
	got, err := flightAnswer(ctx, m.clients[node], q.SQL)
	if err != nil && ctx.Err() != nil {
		return nil
	}
	if err == nil {
		if d := answer.Compare(got, m.right[q.Name()], q.OrderBy); len(d) > 0 {
			return wrongAnswer{d[0]}
		}
	}
	return err
}

// spoil makes a table and takes one of its objects away, or overwrites it. As
// long as the object is so a query's error names it, unless the nodes that read
// it have a copy; then the answer is right again.
func (m *mishaps) spoil(i, node int, damage bool) (err error) {
	table := fmt.Sprintf("spoilt_%d", i)
	ctx, cancel := context.WithTimeout(m.t.Context(), chaosQuery)
	defer cancel()
	client := m.clients[node]
	if _, err := client.ExecuteUpdate(ctx, "CREATE TABLE "+table+" AS SELECT l_orderkey, l_comment FROM lineitem WHERE l_orderkey % 5 = 0"); err != nil {
		return err
	}
	check := "SELECT count(*), count(DISTINCT l_orderkey), sum(length(l_comment)) FROM "
	want, err := m.answer(node, check+"lineitem WHERE l_orderkey % 5 = 0")
	if err != nil {
		return err
	}
	keys := m.objects(ctx, table)
	if len(keys) == 0 {
		return fmt.Errorf("%s has no objects", table)
	}
	key := keys[rand.IntN(len(keys))]
	data, err := m.take(ctx, key, damage)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	got, err := m.answer(node, check+table)
	if _, back := m.store.PutObject(ctx, mainBucket, key, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{}); back != nil {
		return fmt.Errorf("%s: %w", key, back)
	}
	switch {
	case err != nil && !slices.Contains(chaosErrors, status.Code(err)):
		return err
	case err != nil && strings.Contains(err.Error(), "spoilt_") && !strings.Contains(err.Error(), key):
		return fmt.Errorf("want %s named: %v", key, err) //nolint:errorlint // it must not count as unavailable
	case err == nil && fmt.Sprint(got.Rows) != fmt.Sprint(want.Rows):
		return fmt.Errorf("got %v, want %v", got.Rows, want.Rows)
	case err != nil && strings.Contains(err.Error(), key):
		m.ended["error that names the object"]++
	}
	for ctx.Err() == nil {
		if node = m.living(); node < 0 {
			continue
		}
		if got, err = m.answer(node, check+table); err == nil {
			break
		}
		time.Sleep(chaosPause / 10)
	}
	if err == nil && fmt.Sprint(got.Rows) != fmt.Sprint(want.Rows) {
		return fmt.Errorf("with its object: got %v, want %v", got.Rows, want.Rows)
	}
	if err == nil {
		_, err = m.clients[node].ExecuteUpdate(ctx, "DROP TABLE "+table)
	}
	return err
}

func (m *mishaps) objects(ctx context.Context, table string) (keys []string) {
	for o := range m.store.ListObjects(ctx, mainBucket, minio.ListObjectsOptions{Recursive: true, Prefix: table + "/"}) {
		if o.Err == nil {
			keys = append(keys, o.Key)
		}
	}
	return keys
}

// take returns an object's bytes and removes it, or overwrites its half.
func (m *mishaps) take(ctx context.Context, key string, damage bool) ([]byte, error) {
	o, err := m.store.GetObject(ctx, mainBucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer o.Close()
	data, err := io.ReadAll(o)
	if err != nil {
		return nil, err
	}
	if !damage {
		return data, m.store.RemoveObject(ctx, mainBucket, key, minio.RemoveObjectOptions{})
	}
	bad := slices.Clone(data)
	for i := len(bad) / 4; i < len(bad)*3/4; i++ {
		bad[i] ^= 0x5a
	}
	_, err = m.store.PutObject(ctx, mainBucket, key, bytes.NewReader(bad), int64(len(bad)), minio.PutObjectOptions{})
	return data, err
}

func (m *mishaps) report() {
	for _, kind := range slices.Sorted(maps.Keys(m.ended)) {
		m.t.Logf("%s: %d times, each ended as it must", kind, m.ended[kind])
	}
	if len(m.ended) == 0 {
		m.t.Error("no mishap ended as it must: it tests nothing")
	}
}
