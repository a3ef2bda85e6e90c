package flight

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"skein/internal/batch"
	"skein/internal/fault"
)

// EndpointsOption is the header and the session option by which a client says
// whether it wants one endpoint for each part of a result, "parallel", or
// "one".
const EndpointsOption = "skein-endpoints"

const (
	parallel = "parallel"
	single   = "one"
)

// partMagic begins each ticket of a part. No Flight SQL ticket begins so: those
// are messages whose first byte is a field tag. Behind it are the signature
// and what is signed: when the ticket expires (seconds since 1970, 8 bytes, the
// highest first), the length of the user's name (2 bytes), the name, and the
// fragment.
const partMagic = "skein-part/1\n"

// partTicketsMax bounds the tickets of one answer, in bytes: the drivers take
// messages of 16 MiB.
const partTicketsMax = 8 << 20

// parts signs the tickets of parts of results. A ticket carries SQL that is run
// as it is, so none is taken that no node has signed.
type parts struct {
	key     []byte
	life    time.Duration
	always  bool
	address string // of this node; empty if not known
	scheme  string
	user    func(context.Context) string
	now     func() time.Time
}

func newParts(o Options) *parts {
	p := &parts{key: o.PartKey, life: o.PartLife, always: o.Parallel, address: o.Address, scheme: "grpc+tcp://", user: o.User, now: time.Now}
	if len(p.key) == 0 {
		p.key = []byte(rand.Text())
	}
	if o.TLS {
		p.scheme = "grpc+tls://"
	}
	if p.user == nil {
		p.user = func(context.Context) string { return "" }
	}
	return p
}

// wanted tells whether the client asks for an endpoint for each part.
func (p *parts) wanted(ctx context.Context) bool {
	md, _ := metadata.FromIncomingContext(ctx)
	for _, v := range md.Get(EndpointsOption) {
		return strings.EqualFold(v, parallel)
	}
	for _, line := range md.Get("cookie") {
		cookies, err := http.ParseCookie(line)
		if err != nil {
			continue
		}
		for _, c := range cookies {
			if c.Name == EndpointsOption {
				return c.Value == parallel
			}
		}
	}
	return p.always
}

// ticket signs a fragment for the caller.
func (p *parts) ticket(ctx context.Context, fragment []byte) (ticket []byte, expires time.Time) {
	expires = p.now().Add(p.life).Truncate(time.Second)
	user := p.user(ctx)
	signed := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	signed = binary.BigEndian.AppendUint16(signed, uint16(len(user)))
	signed = append(append(signed, user...), fragment...)
	return slices.Concat([]byte(partMagic), p.sign(signed), signed), expires
}

func (p *parts) sign(signed []byte) []byte {
	h := hmac.New(sha256.New, p.key)
	h.Write([]byte(partMagic))
	h.Write(signed)
	return h.Sum(nil)
}

func isPart(ticket []byte) bool { return bytes.HasPrefix(ticket, []byte(partMagic)) }

// fragment is what a ticket holds, if it is good for the caller.
func (p *parts) fragment(ctx context.Context, ticket []byte) ([]byte, error) {
	const head = 8 + 2
	rest := ticket[len(partMagic):]
	if len(rest) < sha256.Size+head || !hmac.Equal(rest[:sha256.Size], p.sign(rest[sha256.Size:])) {
		return nil, fault.New(fault.InvalidArgument, "the ticket is not one of this cluster: its nodes share the cluster_secret")
	}
	rest = rest[sha256.Size:]
	expires, name := time.Unix(int64(binary.BigEndian.Uint64(rest)), 0), int(binary.BigEndian.Uint16(rest[8:]))
	if rest = rest[head:]; len(rest) < name {
		return nil, fault.New(fault.InvalidArgument, "malformed ticket")
	}
	if string(rest[:name]) != p.user(ctx) {
		return nil, fault.New(fault.PermissionDenied, "the ticket is another user's: run the statement yourself")
	}
	if p.now().After(expires) {
		return nil, fault.New(fault.NotFound, "the ticket has expired: run the statement again, or renew endpoints in time")
	}
	return rest[name:], nil
}

// partedInfo is a result with one endpoint for each part; nil where the client does
// not ask for that or the result has no parts.
func (s *sqlServer) partedInfo(ctx context.Context, d *arrowflight.FlightDescriptor, schema *arrow.Schema, sql string) (*arrowflight.FlightInfo, error) {
	if !s.parts.wanted(ctx) {
		return nil, nil
	}
	found, err := s.coord.Partitions(ctx, sql)
	if err != nil || len(found) < 2 {
		return nil, err
	}
	info := infoOf(d, schema, nil)
	info.Endpoint = nil
	size := 0
	for _, part := range found {
		ticket, expires := s.parts.ticket(ctx, part.Fragment)
		if size += len(ticket); size > partTicketsMax {
			return nil, nil
		}
		info.Endpoint = append(info.Endpoint, &arrowflight.FlightEndpoint{
			Ticket: &arrowflight.Ticket{Ticket: ticket}, Location: s.parts.locations(part.Address), ExpirationTime: timestamppb.New(expires),
		})
	}
	return info, nil
}

// locations is where a part can be read: at the worker that has its files, at
// this node, and over the connection that the client has.
func (p *parts) locations(worker string) (all []*arrowflight.Location) {
	for _, address := range []string{worker, p.address} {
		if address != "" && (len(all) == 0 || all[0].Uri != p.scheme+address) {
			all = append(all, &arrowflight.Location{Uri: p.scheme + address})
		}
	}
	return append(all, &arrowflight.Location{Uri: arrowflight.LocationReuseConnection})
}

// readPart starts to read the part of a ticket.
func (s *sqlServer) readPart(ctx context.Context, ticket []byte) (batch.Reader, error) {
	fragment, err := s.parts.fragment(ctx, ticket)
	if err != nil {
		return nil, err
	}
	return s.coord.ReadPartition(ctx, fragment)
}

// renewPart gives a part's endpoint a new ticket.
func (s *sqlServer) renewPart(ctx context.Context, e *arrowflight.FlightEndpoint) (*arrowflight.FlightEndpoint, error) {
	fragment, err := s.parts.fragment(ctx, e.GetTicket().GetTicket())
	if err != nil {
		return nil, err
	}
	ticket, expires := s.parts.ticket(ctx, fragment)
	return &arrowflight.FlightEndpoint{
		Ticket: &arrowflight.Ticket{Ticket: ticket}, Location: e.GetLocation(), ExpirationTime: timestamppb.New(expires), AppMetadata: e.GetAppMetadata(),
	}, nil
}
