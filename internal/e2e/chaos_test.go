package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"skein/bench/answer"
	"skein/bench/tpch"
)

const (
	chaosEnv     = "SKEIN_TEST_CHAOS"
	chaosDefault = 20 * time.Second
	chaosClients = 3
	chaosHang    = 20 * time.Second // or half of the time there is
	chaosPause   = 3 * time.Second  // at most, between faults and until a restart
	chaosQuery   = 2 * time.Minute  // until a client gives up
)

// chaosErrors are what a client may hear while nodes fail.
var chaosErrors = []codes.Code{codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded}

// TestChaos asks TPC-H's queries of three nodes while one after the other is
// killed, or stopped for a while as by a long pause of its machine, and comes
// back, and while other statements have mishaps of their own. No answer may be
// wrong or short.
func TestChaos(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, "--query-memory", mishapsMemory)
	loadTPCH(t, c.Nodes...)
	x := &chaos{t: t, cluster: c, right: map[string]answer.Answer{}, errors: map[codes.Code]int{}, failing: -1}
	want := expected(t)
	for _, q := range tpch.Queries() {
		x.right[q.Name()] = readArrow(t, filepath.Join(want, q.Name()+".arrow"))
	}
	for _, n := range c.Nodes {
		x.clients = append(x.clients, n.flight(t))
	}
	wait := chaosDefault
	if s := os.Getenv(chaosEnv); s != "" {
		var err error
		if wait, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	for range chaosClients {
		asking.Go(func() { x.ask(ctx) })
	}
	m := &mishaps{chaos: x, store: storeClient(t, c.Store), ended: map[string]int{}}
	asking.Go(func() { m.happen(ctx) })
	x.strike(time.Now().Add(wait))
	stop()
	asking.Wait()
	x.report()
	m.report()
	for i, n := range c.Nodes {
		waitFor(t, time.Minute, n.ID+" answers", func() (bool, string) {
			err := x.one(t.Context(), tpch.Queries()[4], i)
			return err == nil, fmt.Sprint(err)
		})
		waitFor(t, 10*time.Second, n.ID+" has no temporary files", func() (bool, string) {
			files, err := filesIn(filepath.Join(n.Dir, "spill"))
			return err == nil && len(files) == 0, fmt.Sprint(files, err)
		})
	}
}

// filesIn are the files under a directory; one without files does not count, as
// DuckDB keeps that in which it has spilled.
func filesIn(dir string) (files []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it goes while this looks
		}
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

// chaos counts what happens.
type chaos struct {
	t       *testing.T
	cluster *cluster
	clients []*flightsql.Client // one for each node
	right   map[string]answer.Answer

	mu      sync.Mutex
	failing int // the node that is down or stopped; none if negative
	queries int
	correct int
	wrong   int
	errors  map[codes.Code]int
	slowest time.Duration
	faults  []chaosFault
	asked   atomic.Int64
}

// chaosFault is a node's failure, and when the first right answer came to a
// query begun after it.
type chaosFault struct {
	kind, node string
	at, right  time.Time
}

// strike fails one node after the other until a time.
func (x *chaos) strike(until time.Time) {
	hang := min(chaosHang, time.Until(until)/2)
	for i := 0; time.Now().Before(until) && !x.t.Failed(); i++ {
		time.Sleep(rand.N(chaosPause)) // any instant will do
		victim := rand.IntN(len(x.cluster.Nodes))
		n := x.cluster.Nodes[victim]
		if i%3 == 1 && time.Until(until) > hang/2 {
			x.began("stopped", victim)
			n.signal(x.t, syscall.SIGSTOP)
			time.Sleep(hang)
			n.signal(x.t, syscall.SIGCONT)
		} else {
			x.began("killed", victim)
			n.Kill()
			time.Sleep(rand.N(chaosPause))
			n.Start()
		}
		x.mu.Lock()
		x.failing = -1
		x.mu.Unlock()
	}
}

func (x *chaos) began(kind string, victim int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.failing = victim
	x.faults = append(x.faults, chaosFault{kind: kind, node: x.cluster.Nodes[victim].ID, at: time.Now()})
}

// signal sends the process a signal.
func (n *node) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		t.Fatalf("node %s: %v", n.ID, err)
	}
}

// ask asks queries of nodes that live, until ctx ends.
func (x *chaos) ask(ctx context.Context) {
	queries := tpch.Queries()
	for ctx.Err() == nil {
		node := x.living()
		if node < 0 {
			continue
		}
		q := queries[int(x.asked.Add(1))%len(queries)]
		began := time.Now()
		err := x.one(x.t.Context(), q, node) // not cut off at the end
		x.note(q, node, began, err)
	}
}

// living is any node, or negative if it is the one that fails now.
func (x *chaos) living() int {
	node := rand.IntN(len(x.clients))
	x.mu.Lock()
	defer x.mu.Unlock()
	if node == x.failing {
		return -1
	}
	return node
}

// wrongAnswer is an answer that differs from DuckDB's.
type wrongAnswer struct{ answer.Difference }

func (w wrongAnswer) Error() string { return w.String() }

// one asks a query of one node and compares the answer.
func (x *chaos) one(ctx context.Context, q tpch.Query, node int) error {
	ctx, cancel := context.WithTimeout(ctx, chaosQuery)
	defer cancel()
	got, err := flightAnswer(ctx, x.clients[node], q.SQL)
	if err != nil {
		return err
	}
	if d := answer.Compare(got, x.right[q.Name()], q.OrderBy); len(d) > 0 {
		return wrongAnswer{d[0]}
	}
	return nil
}

func flightAnswer(ctx context.Context, c *flightsql.Client, sql string) (a answer.Answer, err error) {
	info, err := c.Execute(ctx, sql)
	if err != nil {
		return a, err
	}
	for _, e := range info.Endpoint {
		r, err := c.DoGet(ctx, e.Ticket)
		if err != nil {
			return a, err
		}
		part := answer.Of(r.Schema(), nil)
		for r.Next() {
			part.Rows = append(part.Rows, answer.Of(r.Schema(), []arrow.RecordBatch{r.RecordBatch()}).Rows...)
		}
		err = r.Err()
		r.Release()
		if err != nil {
			return a, err
		}
		part.Rows = append(a.Rows, part.Rows...)
		a = part
	}
	return a, nil
}

// note counts how a query ended.
func (x *chaos) note(q tpch.Query, node int, began time.Time, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.queries++
	x.slowest = max(x.slowest, time.Since(began))
	switch wrong, ok := err.(wrongAnswer); { //nolint:errorlint // it is not wrapped
	case ok:
		x.wrong++
		x.t.Errorf("%s on %s: %s", q.Name(), x.cluster.Nodes[node].ID, wrong)
	case err == nil:
		x.correct++
		for i := range x.faults {
			if f := &x.faults[i]; f.right.IsZero() && began.After(f.at) {
				f.right = time.Now()
			}
		}
	default:
		x.errors[status.Code(err)]++
		if !slices.Contains(chaosErrors, status.Code(err)) {
			x.t.Errorf("%s on %s: %v", q.Name(), x.cluster.Nodes[node].ID, err)
		} else {
			x.t.Logf("%s on %s, after %v: %v", q.Name(), x.cluster.Nodes[node].ID, time.Since(began).Round(time.Millisecond), err)
		}
	}
}

func (x *chaos) report() {
	x.t.Logf("%d queries, %d right, %d wrong; errors %v; the slowest took %v", x.queries, x.correct, x.wrong, x.errors, x.slowest.Round(time.Millisecond))
	for _, f := range x.faults {
		first := "none"
		if !f.right.IsZero() {
			first = fmt.Sprint("after ", f.right.Sub(f.at).Round(time.Millisecond))
		}
		x.t.Logf("%s was %s; the first right answer to a later query: %s", f.node, f.kind, first)
	}
	if len(x.faults) == 0 || x.correct == 0 {
		x.t.Errorf("%d faults, %d right answers: it tests nothing", len(x.faults), x.correct)
	}
}
