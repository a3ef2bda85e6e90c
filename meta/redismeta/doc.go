// Package redismeta keeps the catalog of a cluster in Redis.
//
// It owns the names and types of the keys, the scripts that change several at
// once, and the connection. It does not know where data files are or which
// node it serves. A change is as durable as Redis is set up to be.
//
// Keys of the specification:
//
//	tables:list                          SET     names of tables
//	table:{T}:config                     HASH    buffer_size, flush_interval_seconds, retention_days,
//	                                             backup_enabled, properties (JSON)
//	table:{T}:stats                      HASH    record_count, file_count, size_bytes, oldest_record, newest_record
//	table:{T}:created_at                 STRING  RFC 3339
//	table:{T}:last_write                 STRING  RFC 3339; none before the first write
//	index:table:{T}:id:{ID}:{YYYY-MM-DD} SET     paths of files; ID is the raw id, or _ for files without one
//	nodes:services                       HASH    node in service -> host:port
//	cluster:hash_ring                    ZSET    NODE#i, scored by its hash
//
// Our own keys:
//
//	table:{T}:schema           HASH    uid, revision, schemas (JSON, as in package evolution), op (the request that wrote it last)
//	index:table:{T}:files      HASH    path -> file (JSON; "ranges" as meta.Ranges, if any)
//	index:table:{T}:oldest     ZSET    least time of a file, space, path; all scores 0, so ordered as text
//	index:table:{T}:newest     ZSET    greatest time of a file, space, path
//	index:table:{T}:version    STRING  Listing.Version
//	index:table:{T}:units      HASH    committed unit -> time of its commit
//	index:table:{T}:open       HASH    open unit -> node
//	nodes:heartbeat            HASH    node -> beat_us (microseconds of Redis's clock) and the node (JSON)
//	tables:dropped:{request}   HASH    files of a table just dropped, until its dropper has read them; 10 minutes at most
//
// The braces are placeholders, not part of a key. A node in nodes:heartbeat
// and not in nodes:services has left. Nothing calls KEYS or SCAN. Each change
// of several keys is one script, and repeating it is harmless, because the
// client repeats a command whose answer was lost. The scripts name some keys
// that they find in the index, so all keys must be on one server.
package redismeta
