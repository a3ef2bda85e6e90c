package realtest

import (
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy stands before a server that speaks HTTP and can spoil it.
type Proxy struct {
	URL    string
	Speed  atomic.Int64 // bytes per second and connection; no limit if zero
	Refuse atomic.Bool  // answers 503
	Forge  atomic.Bool  // spoils signatures, so that the server sees wrong credentials
}

// StartProxy starts a proxy before target, such as http://127.0.0.1:39000. It
// is stopped at the end of t.
func StartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{}
	transport := &http.Transport{}
	reverse := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		host := r.In.Host
		r.SetURL(u)
		r.Out.Host = host // it is signed
		if p.Forge.Load() {
			before, _, _ := strings.Cut(r.In.Header.Get("Authorization"), "Signature=")
			r.Out.Header.Set("Authorization", before+"Signature="+strings.Repeat("0", 64))
		}
	}, ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.Refuse.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		reverse.ServeHTTP(w, r)
	})}
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	p.URL = "http://" + listener.Addr().String()
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(throttled{listener, p}) }()
	t.Cleanup(func() { _ = server.Close(); transport.CloseIdleConnections(); <-done })
	return p
}

type throttled struct {
	net.Listener
	p *Proxy
}

func (l throttled) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return slowConn{c, l.p}, err
}

type slowConn struct {
	net.Conn
	p *Proxy
}

const slowStep = 4096 // bytes at once

func (c slowConn) pause(n int) {
	if speed := c.p.Speed.Load(); speed > 0 {
		time.Sleep(time.Duration(n) * time.Second / time.Duration(speed))
	}
}

func (c slowConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b[:min(len(b), slowStep)])
	c.pause(n)
	return n, err
}

func (c slowConn) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = c.Conn.Write(b[n:min(len(b), n+slowStep)])
		n += m
		c.pause(m)
	}
	return n, err
}
