// Package coordinator runs statements: it asks the planner for a plan, sends
// fragments to workers and merges what comes back; it routes writes to the
// workers that own them and owns the life of tables.
//
// Every door (gRPC, REST, Flight SQL) calls it, so a feature is written once,
// here. It does not open objects, know which protocol asked, or keep rows.
package coordinator
