// Package gateway is the front door: OlapService, IngestService and
// AdminService over gRPC, and REST over HTTP. All reach the coordinator through one Service, so they
// behave alike.
//
// It owns the shape of requests and answers, their limits and deadlines, and
// how an error looks to a client. It does not parse SQL, know where tables are
// kept, or listen on a port.
package gateway
