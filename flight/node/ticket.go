package node

import (
	"bytes"

	"google.golang.org/protobuf/proto"

	"skein/internal/fault"
	nodev1 "skein/proto/node/v1"
)

// magic begins each ticket of a node. No Flight SQL ticket begins so: those are
// messages whose first byte is a field tag.
const magic = "skein-fragment/1\n"

func newTicket(t *nodev1.Ticket) ([]byte, error) {
	return proto.MarshalOptions{}.MarshalAppend([]byte(magic), t)
}

func isTicket(b []byte) bool { return bytes.HasPrefix(b, []byte(magic)) }

func parseTicket(b []byte) (*nodev1.Ticket, error) {
	var t nodev1.Ticket
	if err := proto.Unmarshal(bytes.TrimPrefix(b, []byte(magic)), &t); err != nil || t.GetContent() == nil {
		return nil, fault.New(fault.InvalidArgument, "malformed ticket: are all nodes of one release?")
	}
	return &t, nil
}
