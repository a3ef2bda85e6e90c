package node

import (
	"bytes"

	"google.golang.org/protobuf/proto"

	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

// magic begins each ticket of a fragment. No Flight SQL ticket begins so:
// those are messages whose first byte is a field tag.
const magic = "skein-fragment/1\n"

func newTicket(f *nodev1.Fragment) ([]byte, error) {
	return proto.MarshalOptions{}.MarshalAppend([]byte(magic), &nodev1.Ticket{Content: &nodev1.Ticket_Fragment{Fragment: f}})
}

func isTicket(b []byte) bool { return bytes.HasPrefix(b, []byte(magic)) }

func parseTicket(b []byte) (*nodev1.Fragment, error) {
	var t nodev1.Ticket
	if err := proto.Unmarshal(bytes.TrimPrefix(b, []byte(magic)), &t); err != nil || t.GetFragment() == nil {
		return nil, fault.New(fault.InvalidArgument, "malformed fragment ticket: are all nodes of one release?")
	}
	return t.GetFragment(), nil
}
