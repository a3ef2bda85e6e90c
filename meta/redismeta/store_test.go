package redismeta_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"skein/internal/fault"
	"skein/internal/realtest"
	"skein/meta"
	"skein/meta/metatest"
	"skein/meta/redismeta"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, url string) *redismeta.Store {
	t.Helper()
	// miniredis on a busy machine takes seconds for the largest commit.
	s, err := redismeta.Open(t.Context(), url, redismeta.Options{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// client is a plain client of the server at the URL.
func client(t *testing.T, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestMiniredis(t *testing.T) {
	metatest.Run(t, func(t *testing.T) meta.Store {
		return open(t, "redis://"+miniredis.RunT(t).Addr())
	})
}

func TestRedis(t *testing.T) {
	url := realtest.Redis(t)
	raw := client(t, url)
	metatest.Run(t, func(t *testing.T) meta.Store {
		must(t, raw.FlushAll(t.Context()).Err())
		return open(t, url)
	})
	stats, err := raw.Info(t.Context(), "commandstats").Result()
	must(t, err)
	for _, forbidden := range []string{"cmdstat_keys:", "cmdstat_scan:"} {
		if strings.Contains(stats, forbidden) {
			t.Errorf("the store called %s", forbidden)
		}
	}
}

func TestBadURL(t *testing.T) {
	for _, url := range []string{
		"", "localhost:6379", "http://:sEcReT@localhost", "redis://", "redis://:sEcReT@localhost:port", "redis://:a#sEcReT/@localhost:1",
		"redis://user:1/sEcReT@localhost:6379", "redis://:sEcReT@localhost:6379/x", "unix:///sEcReT", "redis://:sEcReT\x7f@localhost",
		"redis://:sEcReT@localhost:6379/0?sEcReT=1",
		"redis://:sEcReT@a:1,b:2", "redis+sentinel://:sEcReT@a:1,b:2", "redis+sentinel://:sEcReT@a:1,b:2/skein/x", "redis+sentinel:///skein",
		"redis+cluster://:sEcReT@a:1,,b:2", "redis+cluster://:sEcReT@a:1,b:port", "redis+cluster://:sEcReT@a:1,b:2/3", "redis+other://:sEcReT@a", "redis+://a",
	} {
		_, err := redismeta.Open(t.Context(), url, redismeta.Options{})
		if fault.CodeOf(err) != fault.InvalidArgument || strings.Contains(err.Error(), "sEcReT") {
			t.Errorf("%s: error %v", url, err)
		}
	}
}

func TestUnreachable(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, gone.Close())
	mute, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never answers
	must(t, err)
	defer mute.Close()
	for name, l := range map[string]net.Listener{"nobody listens": gone, "no answer": mute} {
		start := time.Now()
		_, err := redismeta.Open(t.Context(), "redis://:sEcReT@"+l.Addr().String(), redismeta.Options{Timeout: 300 * time.Millisecond})
		if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), l.Addr().String()) || strings.Contains(err.Error(), "sEcReT") {
			t.Errorf("%s: error %v", name, err)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

func TestLogin(t *testing.T) {
	m := miniredis.RunT(t)
	m.RequireAuth("sEcReT")
	open(t, "redis://:sEcReT@"+m.Addr())
	for _, login := range []string{"", ":wRoNg@"} {
		_, err := redismeta.Open(t.Context(), "redis://"+login+m.Addr(), redismeta.Options{})
		if fault.CodeOf(err) != fault.FailedPrecondition || strings.Contains(err.Error(), "wRoNg") {
			t.Errorf("login %q: error %v", login, err)
		}
	}
}

// A server that dies and comes back is met with Unavailable, then used again.
func TestServerComesBack(t *testing.T) {
	server := realtest.StartRedis(t)
	s, err := redismeta.Open(t.Context(), "redis://"+server.Addr, redismeta.Options{Timeout: time.Second})
	must(t, err)
	defer s.Close()
	must(t, s.CreateTable(t.Context(), meta.Table{Name: "t"}))
	server.Kill()
	if _, err := s.Version(t.Context(), "t"); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("error %v", err)
	}
	if err := s.CreateTable(t.Context(), meta.Table{Name: "t"}); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("error %v", err)
	}
	server.Start()
	must(t, s.CreateTable(t.Context(), meta.Table{Name: "t"})) // scripts are loaded anew
}

// The caller's deadline and cancellation end a call to a server that hangs.
func TestHangingServer(t *testing.T) {
	url := realtest.Redis(t)
	s := open(t, url)
	must(t, client(t, url).Do(t.Context(), "CLIENT", "PAUSE", "20000", "ALL").Err())
	for what, limit := range map[string]func() (context.Context, context.CancelFunc){
		"deadline": func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 200*time.Millisecond)
		},
		"cancel": func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(200*time.Millisecond, cancel)
			return ctx, cancel
		},
	} {
		ctx, cancel := limit()
		start := time.Now()
		_, err := s.Version(ctx, "t")
		took := time.Since(start)
		if code := fault.CodeOf(err); code != fault.DeadlineExceeded && code != fault.Canceled || took > 2*time.Second {
			t.Errorf("%s: error %v after %v", what, err, took)
		}
		cancel()
	}
}

// Ages are told by Redis's clock, whatever that of the machine says.
func TestClock(t *testing.T) {
	m := miniredis.RunT(t)
	s := open(t, "redis://"+m.Addr())
	ctx := t.Context()
	at := time.Date(2001, 2, 3, 4, 5, 6, 7000, time.UTC)
	m.SetTime(at)
	must(t, s.Heartbeat(ctx, meta.Node{ID: "n1"}))
	m.SetTime(at.Add(time.Minute))
	must(t, s.Heartbeat(ctx, meta.Node{ID: "n2"}))
	nodes, err := s.Nodes(ctx)
	must(t, err)
	if len(nodes) != 2 || nodes[0].LastHeartbeat != at || nodes[0].Age != time.Minute || nodes[1].Age != 0 {
		t.Errorf("nodes %+v", nodes)
	}
	for _, step := range []struct {
		after time.Duration // since n1's heartbeat
		want  string        // reaped
		left  int           // nodes still shown
	}{{time.Minute, "", 2}, {time.Minute + time.Microsecond, "n1", 2}, {2*time.Minute + time.Second, "n2", 2}, {24*time.Hour + time.Second, "", 1}, {25 * time.Hour, "", 0}} {
		m.SetTime(at.Add(step.after))
		reaped, err := s.Reap(ctx, time.Minute)
		must(t, err)
		nodes, err := s.Nodes(ctx)
		must(t, err)
		if got := strings.Join(reaped, " "); got != step.want || len(nodes) != step.left {
			t.Errorf("after %v: reaped %q, %d nodes left", step.after, got, len(nodes))
		}
	}
}
