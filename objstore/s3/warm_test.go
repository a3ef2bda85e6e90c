package s3_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"skein/internal/fault"
	"skein/objstore/s3"
)

// Connections are opened before they are needed, and kept for what follows.
func TestWarm(t *testing.T) {
	const conns = 6
	var opened atomic.Int32
	var together sync.WaitGroup // requests wait for one another: each needs a connection
	together.Add(conns)
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		together.Done()
		together.Wait()
	}))
	web.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	web.Start()
	s, err := s3.New(s3.Options{Endpoint: web.URL, Bucket: "bucket", Region: "us-east-1", ConnsMin: conns})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Warm(t.Context()); err != nil || opened.Load() != conns {
		t.Errorf("%d connections, %v", opened.Load(), err)
	}
	web.Close()
	if err := s.Warm(t.Context()); fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
}
