// Package transfer moves objects between two stores.
//
// It owns single copies with their check (Copy, Same), the comparison of whole
// stores (Sync), and a mover that works off a durable queue of copies and
// deletions (Mover). It does not know which store is the better one, who
// queues what, or where the queue is kept.
package transfer
