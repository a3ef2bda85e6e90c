package auth

import "skein/internal/fault"

const (
	olap    = "/olap.v1.OlapService/"
	ingest  = "/olap.v1.IngestService/"
	node    = "/node.v1.NodeService/"
	flight  = "/arrow.flight.protocol.FlightService/"
	health  = "/grpc.health.v1.Health/"
	reflect = "/grpc.reflection."
)

// methods is the role that each RPC needs at the door. None is open to all.
// The Flight server asks for more where a statement changes something.
var methods = map[string]Role{
	olap + "Write":         Write,
	olap + "Query":         Read,
	olap + "CreateTable":   Admin,
	olap + "DropTable":     Admin,
	olap + "ListTables":    Read,
	olap + "DescribeTable": Read,
	olap + "TriggerBackup": Admin,
	olap + "RecoverData":   Admin,
	olap + "HealthCheck":   Read,
	olap + "GetStats":      Read,
	olap + "GetNodes":      Read,

	ingest + "WriteStream": Write,

	node + "Append":  Node,
	node + "Hot":     Node,
	node + "ReadHot": Node,
	node + "Flush":   Node,
	node + "Discard": Node,
	node + "Stats":   Node,

	flight + "Handshake":      None, // where clients show their password
	flight + "ListFlights":    Read,
	flight + "GetFlightInfo":  Read,
	flight + "PollFlightInfo": Read,
	flight + "GetSchema":      Read,
	flight + "DoGet":          Read,
	flight + "DoPut":          Read,
	flight + "DoExchange":     Read,
	flight + "DoAction":       Read,
	flight + "ListActions":    Read,

	health + "Check": None,
	health + "Watch": None,
	health + "List":  None,

	reflect + "v1.ServerReflection/ServerReflectionInfo":      Read,
	reflect + "v1alpha.ServerReflection/ServerReflectionInfo": Read,
}

// RoleOf returns the role that an RPC needs, such as
// "/olap.v1.OlapService/Write"; false if the RPC is not in the table.
func RoleOf(method string) (Role, bool) {
	r, ok := methods[method]
	return r, ok
}

// roleOf is RoleOf with the refusal of what nobody has thought about.
func roleOf(method string) (Role, error) {
	if r, ok := RoleOf(method); ok {
		return r, nil
	}
	return None, fault.Newf(fault.PermissionDenied, "no role may call %s", method)
}
