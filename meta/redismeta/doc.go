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
//	                                             backup_enabled, replicated, properties (JSON)
//	table:{T}:stats                      HASH    record_count, file_count, size_bytes, oldest_record, newest_record
//	table:{T}:created_at                 STRING  RFC 3339
//	table:{T}:last_write                 STRING  RFC 3339; none before the first write
//	index:table:{T}:id:{ID}:{YYYY-MM-DD} SET     paths of files; ID is the raw id, or _ for files without one
//	nodes:services                       HASH    node in service -> host:port
//	cluster:hash_ring                    ZSET    NODE#i, scored by its hash
//	metadata:version                     STRING  of the catalog, as 1.2.3; 1.0.0 if there is none
//	metadata:version:history             LIST    changes (JSON), the newest first; 10,000 at most
//	metadata:backup:list                 ZSET    keys of snapshots, by the milliseconds of their time
//	metadata:lock:{OPERATION}            STRING  owner of a lock, with a TTL
//
// Our own keys:
//
//	table:{T}:schema           HASH    uid, revision, schemas (JSON, as in package evolution), op (the request that wrote it last)
//	index:table:{T}:files      HASH    path -> file (JSON; "ranges" as meta.Ranges, if any)
//	index:table:{T}:oldest     ZSET    least time of a file, space, path; all scores 0, so ordered as text
//	index:table:{T}:newest     ZSET    greatest time of a file, space, path
//	index:table:{T}:version    STRING  Listing.Version
//	index:table:{T}:units      HASH    committed unit -> time of its commit, and the node if another might have
//	index:table:{T}:open       HASH    open unit -> node, and on a second line its replica
//	nodes:heartbeat            HASH    node -> beat_us (microseconds of Redis's clock) and the node (JSON)
//	tables:dropped:{request}   HASH    files of a table just dropped, until its dropper has read them; 10 minutes at most.
//	                                   Also those of one just replaced, until the SETs by id and day follow; 1 hour at most
//	index:table:{T}:copy:{request}             HASH  files as of one moment, while an image is read; 1 hour at most
//	index:table:{T}:stage:{S}:files, oldest, newest, stats   as those of the table, not in service; 1 hour at most
//
//	metadata:version:birth               STRING  random name of the catalog, from when it was made
//	pool:redis:status, pool:minio:status HASH    what the last check found (the specification's)
//	pool:health:last_check               STRING  its time, RFC 3339 (the specification's)
//	"{metadata:lock:OPERATION}:token"    STRING  token of its newest owner; these braces are part of the key, as in the next
//	"{queue:NAME}:items", due, parked, count     a Queue: HASH, ZSET by time, HASH, counter
//	pool:minio:switch, pool:minio:votes  HASH    a Register and Votes
//
// The channel metadata:changed tells the new version of each change. It may
// lose messages: metadata:version is the truth.
//
// The other braces are placeholders, not part of a key. A node in
// nodes:heartbeat and not in nodes:services has left. Nothing calls KEYS or
// SCAN. Each change of several keys is one script, and repeating it is
// harmless, because the client repeats a command whose answer was lost.
//
// # In a cluster
//
// A script reaches the keys of one server only, and the specification's names
// of one table fall on many. So a table's keys live under the hash tag of its
// config, as in {table:T:config}:files, where the same scripts change them in
// one step; only table:T:config itself keeps its name. The script also notes in
// {table:T:config}:dirty which of the specification's other keys have to follow:
// tables:list, table:T:stats, table:T:created_at, table:T:last_write and the
// SETs by id and day. The caller brings them up to date and removes the note.
// If it dies in between, the next change of the table or Repair does it. Nodes
// read none of these copies but tables:list, which has a name before its table
// is made and until after it is dropped. Heartbeats are in
// {nodes:services}:heartbeat, beside nodes:services.
//
// metadata:version:history keeps its name, and the version that nodes read is
// beside it, in {metadata:version:history}:version; metadata:version is a copy.
// The catalog's name is in {metadata:version:history}:birth.
// A change of a table is noted in {table:T:config}:changes by the script that
// makes it, and moves to the history after it, or by the next change of the
// table, or by Repair. A lock's tokens are on a server of their own: before a
// fenced write they are read, and each table, the ring and the history keep the
// greatest token that has written to them, in {…}:fence:OPERATION, which the
// script of a write compares. So a leader that was paused is refused where its
// successor has written, and elsewhere but for the moment between the two.
//
// # What a failover can lose
//
// Redis copies changes to replicas after it has answered. With sentinels or a
// cluster a change is acknowledged only once all replicas have it (WAIT) that
// are alive, as any of them may be the one that takes over; one that is silent
// counts for two seconds more. What remains:
//
//   - A master acknowledges at once while no replica is alive that could take
//     over, or nobody could write after a failover until the lost server is
//     back. If it dies too, what it took alone is lost, unless it keeps an
//     append-only file. Options.Replicas refuses such writes.
//   - A sentinel's master that was cut off and replaced does not know it. So
//     before it acknowledges alone, most of the sentinels must say that it
//     still is the master, and none that it knows of a replica to replace it
//     with. Set min-replicas-to-write 1 on the servers to close the rest of
//     that window, and appendonly yes.
//   - A change that was not acknowledged may still be there. Repeating it is
//     harmless.
package redismeta
