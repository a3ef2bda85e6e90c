package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"skein/internal/fault"
	olapv1 "skein/proto/olap/v1"
)

// messageBytesMax is the largest message that the client takes or sends.
const messageBytesMax = 64 << 20

// closeTimeout bounds the freeing of a statement on the server.
const closeTimeout = 5 * time.Second

// Options of a connection.
type Options struct {
	Addr     string // host:port, also with grpc:// or grpc+tls:// before it
	User     string // with Password
	Password string
	Token    string // in place of User
	TLS      bool
	CAFile   string // PEM; the system's roots if empty. It turns TLS on
}

// Client is one connection. It may be used from many goroutines.
type Client struct {
	OLAP  olapv1.OlapServiceClient
	Admin olapv1.AdminServiceClient
	Meta  olapv1.MetaServiceClient

	addr string
	sql  *flightsql.Client
	conn *grpc.ClientConn
}

// Dial prepares a connection; the first call makes it. The caller closes it.
func Dial(o Options) (*Client, error) {
	addr, secure, err := address(o.Addr)
	if err != nil {
		return nil, err
	}
	transport := insecure.NewCredentials()
	if secure || o.TLS || o.CAFile != "" {
		if transport, err = tlsCredentials(o.CAFile); err != nil {
			return nil, err
		}
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageBytesMax), grpc.MaxCallSendMsgSize(messageBytesMax)),
	}
	if h := header(o); h != "" {
		opts = append(opts, grpc.WithPerRPCCredentials(authorization(h)))
	}
	conn, err := grpc.NewClient("passthrough:///"+addr, opts...)
	if err != nil {
		return nil, fault.Newf(fault.InvalidArgument, "--addr %s: %w", o.Addr, err)
	}
	return &Client{
		OLAP: olapv1.NewOlapServiceClient(conn), Admin: olapv1.NewAdminServiceClient(conn), Meta: olapv1.NewMetaServiceClient(conn),
		addr: addr,
		sql:  &flightsql.Client{Client: flight.NewClientFromConn(conn, nil), Alloc: memory.DefaultAllocator},
		conn: conn,
	}, nil
}

// Close ends the connection and whatever runs on it.
func (c *Client) Close() { c.conn.Close() }

// Addr is the host and port.
func (c *Client) Addr() string { return c.addr }

func address(text string) (addr string, secure bool, err error) {
	addr = text
	if scheme, rest, ok := strings.Cut(text, "://"); ok {
		switch scheme {
		case "grpc", "grpc+tcp":
		case "grpc+tls", "grpcs":
			secure = true
		default:
			return "", false, fault.Newf(fault.InvalidArgument, "--addr %s: want host:port, the server's gRPC port", text)
		}
		addr = strings.TrimSuffix(rest, "/")
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return "", false, fault.Newf(fault.InvalidArgument, "--addr %s: want host:port, such as 127.0.0.1:8815", text)
	}
	if host == "" {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	return addr, secure, nil
}

func tlsCredentials(caFile string) (credentials.TransportCredentials, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fault.Newf(fault.InvalidArgument, "--tls-ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fault.Newf(fault.InvalidArgument, "--tls-ca %s: holds no PEM certificate", caFile)
		}
	}
	return credentials.NewTLS(cfg), nil
}

func header(o Options) string {
	switch {
	case o.Token != "":
		return "Bearer " + o.Token
	case o.User != "":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(o.User+":"+o.Password))
	}
	return ""
}

// authorization sends one header with every call.
type authorization string

func (a authorization) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": string(a)}, nil
}

// RequireTransportSecurity lets a server on the same machine or behind a TLS
// proxy be used without TLS.
func (authorization) RequireTransportSecurity() bool { return false }

// String keeps the secret out of messages.
func (authorization) String() string { return "authorization" }

// Error reads a server's error; one of the transport says which address it is
// about and what to try.
func (c *Client) Error(err error) error {
	if err == nil {
		return nil
	}
	err = fault.From(err)
	if fault.CodeOf(err) != fault.Unavailable {
		return err
	}
	_, cause, ok := strings.Cut(err.Error(), "connection error: desc = ")
	if !ok {
		return err
	}
	cause = strings.Trim(cause, `"`)
	for _, prefix := range []string{"transport: ", "Error while dialing: ", "error while dialing: "} {
		cause = strings.TrimPrefix(cause, prefix)
	}
	cause = strings.TrimPrefix(cause, "dial tcp "+c.addr+": ")
	return fault.New(fault.Unavailable, fmt.Sprintf("no server answers at %s (%s): start one with `skein serve`, or give its gRPC address with --addr", c.addr, cause))
}
