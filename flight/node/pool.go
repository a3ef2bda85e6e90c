package node

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"skein/flight/internal/wire"
	"skein/internal/fault"
)

// MessageBytesMax is the size of one message between nodes, both ways.
const MessageBytesMax = 64 << 20

// ReadyWait bounds how long Ready waits for a connection.
const ReadyWait = 2 * time.Second

// retryWait is how long of that a peer has that refused a connection.
const retryWait = 500 * time.Millisecond

// Options of a Pool.
type Options struct {
	TLS    *tls.Config   // of the peers' ports; plain text if nil
	Secret string        // of the cluster, sent with each call
	Idle   time.Duration // after which an unused connection is closed; 10 min if zero

	Dial []grpc.DialOption // more of gRPC's options, such as credentials

	Registerer prometheus.Registerer // nil: no metrics
}

// Pool keeps one connection to each peer, made when it is first used.
type Pool struct {
	o     Options
	got   *prometheus.CounterVec // bytes by kind; nil counts nothing
	mu    sync.Mutex
	conns map[string]*conn
	done  bool
	timer *time.Timer // runs while there are connections
}

// conn is a connection with the calls on it counted.
type conn struct {
	*grpc.ClientConn
	calls int
	used  time.Time // when the last call ended
}

// NewPool returns a pool without connections.
func NewPool(o Options) *Pool {
	if o.Idle == 0 {
		o.Idle = 10 * time.Minute
	}
	return &Pool{o: o, conns: map[string]*conn{}, got: newReceived(o.Registerer)}
}

// Worker is the peer at an address (host:port). It costs nothing until used.
func (p *Pool) Worker(address string) *Remote { return &Remote{pool: p, address: address} }

// Ready returns nil once the peer is connected, and Unavailable if that does
// not come about within ReadyWait. What is sent only after Ready was nil is
// not half sent where Ready fails.
func (p *Pool) Ready(ctx context.Context, address string) error {
	c, release, err := p.conn(address)
	if err != nil {
		return err
	}
	defer release()
	deadline := time.Now().Add(ReadyWait)
	c.ResetConnectBackoff()
	c.Connect()
	for tried := false; ; {
		state := c.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.Shutdown:
			return unreachable(address)
		case connectivity.Idle, connectivity.Connecting:
			c.Connect()
			tried = true
		case connectivity.TransientFailure:
			if tried {
				return unreachable(address)
			}
			// gRPC stays in this state while it tries again.
			deadline = earlier(deadline, time.Now().Add(retryWait))
		}
		wait, cancel := context.WithDeadline(ctx, deadline)
		changed := c.WaitForStateChange(wait, state)
		cancel()
		if err := ctx.Err(); err != nil {
			return err
		}
		if !changed {
			return unreachable(address)
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func unreachable(address string) error {
	return fault.Newf(fault.Unavailable, "node at %s does not answer", address)
}

// Close ends all connections, and with them the calls under way.
func (p *Pool) Close() error {
	p.mu.Lock()
	conns := p.conns
	p.conns, p.done = nil, true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	var first error
	for _, c := range conns {
		if err := c.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// conn returns the connection to a peer; release ends the call that it is for.
func (p *Pool) conn(address string) (c *conn, release func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return nil, nil, fault.New(fault.Unavailable, "this node is shutting down")
	}
	c = p.conns[address]
	if c == nil {
		cc, err := grpc.NewClient("passthrough:///"+address, p.dialOptions()...)
		if err != nil {
			return nil, nil, fault.Newf(fault.Unavailable, "node at %q: %w", address, err)
		}
		c = &conn{ClientConn: cc}
		p.conns[address] = c
		if p.timer == nil {
			p.timer = time.AfterFunc(p.o.Idle, p.sweep)
		}
	}
	c.calls++
	return c, sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		c.calls--
		c.used = time.Now()
	}), nil
}

// sweep closes connections that were unused for too long: of peers that left,
// mostly.
func (p *Pool) sweep() {
	var idle []*conn
	p.mu.Lock()
	for address, c := range p.conns {
		if c.calls == 0 && time.Since(c.used) >= p.o.Idle {
			idle = append(idle, c)
			delete(p.conns, address)
		}
	}
	p.timer = nil
	if len(p.conns) > 0 {
		p.timer = time.AfterFunc(p.o.Idle, p.sweep)
	}
	p.mu.Unlock()
	for _, c := range idle {
		c.Close()
	}
}

func (p *Pool) dialOptions() []grpc.DialOption {
	creds := insecure.NewCredentials()
	if p.o.TLS != nil {
		creds = credentials.NewTLS(p.o.TLS)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec()), grpc.MaxCallRecvMsgSize(MessageBytesMax), grpc.MaxCallSendMsgSize(MessageBytesMax)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: ReadyWait,
		}),
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(),
	}
	if p.o.Secret != "" {
		options = append(options, grpc.WithPerRPCCredentials(secret(p.o.Secret)))
	}
	return append(options, p.o.Dial...)
}

// secret is sent with each call.
type secret string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (s secret) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{secretKey: string(s)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: a cluster
// in a network of its own may go without TLS.
func (s secret) RequireTransportSecurity() bool { return false }

// Connections is how many peers there are connections to.
func (p *Pool) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}
