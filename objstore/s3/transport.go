package s3

import (
	"context"
	"net"
	"net/http"
	"time"
)

// idleMax is how long a connection is kept without use.
const idleMax = time.Minute

func newTransport(options Options) *http.Transport {
	dialer := &net.Dialer{Timeout: options.DialTimeout, KeepAlive: 30 * time.Second}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &stallConn{Conn: conn, timeout: options.StallTimeout}, nil
		},
		MaxConnsPerHost:       options.ConnsMax,
		MaxIdleConns:          options.ConnsMax,
		MaxIdleConnsPerHost:   options.ConnsMax,
		IdleConnTimeout:       idleMax,
		TLSHandshakeTimeout:   options.DialTimeout,
		ResponseHeaderTimeout: options.StallTimeout,
		DisableCompression:    true, // objects come as they are stored
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
	}
}

// stallConn fails a read or write once no byte has moved for timeout. Every
// write puts off the pending read's end, so a connection that was idle gets
// the whole time for its next answer.
type stallConn struct {
	net.Conn
	timeout time.Duration
}

func (c *stallConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *stallConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
