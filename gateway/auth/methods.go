package auth

import "skein/internal/fault"

const (
	olapService       = "/olap.v1.OlapService/"
	ingestService     = "/olap.v1.IngestService/"
	adminService      = "/olap.v1.AdminService/"
	metaService       = "/olap.v1.MetaService/"
	nodeService       = "/node.v1.NodeService/"
	flightService     = "/arrow.flight.protocol.FlightService/"
	healthService     = "/grpc.health.v1.Health/"
	reflectionService = "/grpc.reflection."
)

// methods is the role that each RPC needs at the door. None is open to all.
// The Flight server asks for more where a statement changes something.
var methods = map[string]Role{
	olapService + "Write":         Write,
	olapService + "Query":         Read,
	olapService + "CreateTable":   Admin,
	olapService + "DropTable":     Admin,
	olapService + "ListTables":    Read,
	olapService + "DescribeTable": Read,
	olapService + "TriggerBackup": Admin,
	olapService + "RecoverData":   Admin,
	olapService + "HealthCheck":   Read,
	olapService + "GetStats":      Read,
	olapService + "GetNodes":      Read,

	ingestService + "WriteStream": Write,

	adminService + "Backup":          Admin,
	adminService + "VerifyBackup":    Admin,
	adminService + "Restore":         Admin,
	adminService + "ListOperations":  Admin,
	adminService + "CancelOperation": Admin,
	adminService + "GetBackupStatus": Admin,
	adminService + "RetryParked":     Admin,
	adminService + "SetPool":         Admin,

	metaService + "GetVersion":     Read,
	metaService + "ListChanges":    Admin,
	metaService + "CreateSnapshot": Admin,
	metaService + "ListSnapshots":  Admin,
	metaService + "RestoreCatalog": Admin,
	metaService + "RebuildIndex":   Admin,
	metaService + "CheckCatalog":   Admin,
	metaService + "RepairCatalog":  Admin,
	metaService + "ListMembers":    Read,
	metaService + "ForgetNode":     Admin,
	metaService + "GetRing":        Read,

	nodeService + "Append":  Node,
	nodeService + "Hot":     Node,
	nodeService + "ReadHot": Node,
	nodeService + "Flush":   Node,
	nodeService + "Discard": Node,
	nodeService + "Stats":   Node,
	nodeService + "Keep":    Node, nodeService + "Hold": Node,
	nodeService + "Replicate": Node, nodeService + "Release": Node, nodeService + "TakeOver": Node,

	flightService + "Handshake":      None, // where clients show their password
	flightService + "ListFlights":    Read,
	flightService + "GetFlightInfo":  Read,
	flightService + "PollFlightInfo": Read,
	flightService + "GetSchema":      Read,
	flightService + "DoGet":          Read,
	flightService + "DoPut":          Read,
	flightService + "DoExchange":     Read,
	flightService + "DoAction":       Read,
	flightService + "ListActions":    Read,

	healthService + "Check": None,
	healthService + "Watch": None,
	healthService + "List":  None,

	reflectionService + "v1.ServerReflection/ServerReflectionInfo":      Read,
	reflectionService + "v1alpha.ServerReflection/ServerReflectionInfo": Read,
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
