// Package record reads the records of the Write API from JSON: one object, or
// a stream of them as lines or as an array.
//
// It owns the shape {"table", "id", "timestamp", "payload"} and refuses what
// does not fit, with its place. Payloads stay the bytes that the client sent,
// so that no number loses a digit. It does not know HTTP or what becomes of a
// record.
package record
