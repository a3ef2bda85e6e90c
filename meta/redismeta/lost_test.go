package redismeta_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"skein/internal/fault"
	"skein/internal/realtest"
	"skein/meta"
)

// lossy is a proxy to Redis that can lose the answer to a script: Redis runs
// it, and then the connection breaks.
type lossy struct {
	net.Listener
	target string
	lose   atomic.Bool
	lost   atomic.Int32
	wg     sync.WaitGroup
}

func startLossy(t *testing.T, target string) *lossy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &lossy{Listener: l, target: target}
	p.wg.Go(p.serve)
	t.Cleanup(func() {
		_ = l.Close()
		p.wg.Wait()
	})
	return p
}

func (p *lossy) serve() {
	for {
		client, err := p.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			return
		}
		var losing atomic.Bool
		both := func() { _, _ = client.Close(), server.Close() }
		p.wg.Go(func() {
			defer both()
			_ = pump(server, client, func(data []byte) bool {
				if bytes.Contains(bytes.ToLower(data), []byte("evalsha")) && p.lose.CompareAndSwap(true, false) {
					losing.Store(true)
				}
				return true
			})
		})
		p.wg.Go(func() {
			defer both()
			_ = pump(client, server, func(data []byte) bool {
				if losing.Load() {
					p.lost.Add(1)
					return false
				}
				return true
			})
		})
	}
}

// pump copies until pass refuses what was read.
func pump(to io.Writer, from io.Reader, pass func([]byte) bool) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !pass(buf[:n]) {
				return nil
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// A change whose answer is lost is repeated by the client, and happens once.
func TestLostAnswers(t *testing.T) {
	server := realtest.StartRedis(t)
	proxy := startLossy(t, server.Addr)
	s := open(t, "redis://"+proxy.Addr().String())
	ctx := t.Context()
	losses := int32(0)
	do := func(what string, f func() error) {
		t.Helper()
		losses++
		proxy.lose.Store(true)
		if err := f(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := proxy.lost.Load(); got != losses {
			t.Fatalf("%s: %d answers lost, want %d", what, got, losses)
		}
	}
	// Scripts are known to the server before answers get lost.
	warm := sampleTable()
	warm.Name = "warm"
	must(t, s.CreateTable(ctx, warm))
	_, err := s.UpdateTable(ctx, warm)
	must(t, err, s.OpenUnit(ctx, "warm", "u1", meta.OpenUnit{Unit: "a"}), s.Commit(ctx, meta.Commit{Table: "warm", TableUID: "u1", Unit: "a"}))
	must(t, s.ForgetUnits(ctx, "warm", []string{"a"}), s.Heartbeat(ctx, meta.Node{ID: "n"}))
	_, err = s.DropTable(ctx, "warm", "u1")
	must(t, err)

	do("create", func() error { return s.CreateTable(ctx, sampleTable()) })
	table := sampleTable()
	table.Config.BufferSize = 1
	do("update", func() error {
		stored, err := s.UpdateTable(ctx, table)
		if stored.Revision != 1 {
			t.Errorf("revision %d", stored.Revision)
		}
		return err
	})
	do("open", func() error { return s.OpenUnit(ctx, "users", "u1", meta.OpenUnit{Node: "n1", Unit: "unit1"}) })
	c := sampleCommit()
	do("commit", func() error { return s.Commit(ctx, c) })
	do("remove", func() error {
		return s.Commit(ctx, meta.Commit{Table: "users", TableUID: "u1", Unit: "r", Remove: []string{c.Add[0].Path}})
	})
	got, err := s.Table(ctx, "users")
	must(t, err)
	if got.Stats.Rows != 6 || got.Stats.Files != 2 || got.Config.BufferSize != 1 {
		t.Errorf("table %+v", got)
	}
	do("forget", func() error { return s.ForgetUnits(ctx, "users", []string{"r"}) })
	do("heartbeat", func() error { return s.Heartbeat(ctx, meta.Node{ID: "n"}) })
	do("drop", func() error {
		files, err := s.DropTable(ctx, "users", "u1")
		if len(files) != 2 {
			t.Errorf("files %v", files)
		}
		return err
	})
	if _, err := s.DropTable(ctx, "users", "u1"); !errors.Is(err, meta.ErrTableNotFound) || fault.CodeOf(err) != fault.NotFound {
		t.Errorf("dropping again: %v", err)
	}
}
