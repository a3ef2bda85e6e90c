package redismeta

import "skein/meta"

// Keys that concern the whole cluster.
const (
	tablesKey     = "tables:list"
	servicesKey   = "nodes:services"
	heartbeatsKey = "nodes:heartbeat"
	ringKey       = "cluster:hash_ring"
	catalogKey    = "metadata:version"
	birthKey      = "metadata:version:birth"
	historyKey    = "metadata:version:history"
	backupsKey    = "metadata:backup:list"
	changedTopic  = "metadata:changed"
)

// tableKeys is the keys of one table.
type tableKeys struct {
	tables                                               string // what a new table is noted in
	schema, config, stats, created, lastWrite            string
	files, oldest, newest, version, units, open, byIDDay string
	receipt                                              string // begin of the keys of receipts
	stage, copies                                        string // begin of the keys of stages and copies
	fence, changes                                       string // in a cluster: begin of the greatest tokens, and changes to record
}

// keysOf gives the keys of a table. In a cluster all but the config are kept
// under its hash tag, so on the same server as it; where the specification
// has another name, mirror keeps a copy there. Changes to copy are noted in
// the key that stands for tables:list and for the SETs by id and day.
func (s *Store) keysOf(table string) tableKeys {
	t, index := "table:"+table+":", "index:table:"+table+":"
	k := tableKeys{tables: tablesKey, config: t + "config", byIDDay: index + "id:", receipt: "tables:dropped:"}
	if s.cluster {
		t = "{" + k.config + "}:"
		index = t
		k.tables, k.byIDDay, k.receipt = t+"dirty", t+"dirty", t+"dropped:"
		k.fence, k.changes = t+"fence:", t+"changes"
	}
	k.schema, k.stats, k.created, k.lastWrite = t+"schema", t+"stats", t+"created_at", t+"last_write"
	k.files, k.oldest, k.newest, k.version = index+"files", index+"oldest", index+"newest", index+"version"
	k.units, k.open = index+"units", index+"open"
	k.stage, k.copies = index+"stage:", index+"copy:"
	return k
}

// catalogVersion is on the same server as the history. In a cluster
// metadata:version is a copy of it.
func (s *Store) catalogVersion() string {
	if s.cluster {
		return "{" + historyKey + "}:version"
	}
	return catalogKey
}

// birth is on the same server as the catalog's version.
func (s *Store) birth() string {
	if s.cluster {
		return "{" + historyKey + "}:birth"
	}
	return birthKey
}

// lockKeys are the key of a lock and that of its tokens.
func lockKeys(operation string) []string {
	key := "metadata:lock:" + operation
	return []string{key, "{" + key + "}:token"}
}

// heartbeats is on the same server as nodes:services.
func (s *Store) heartbeats() string {
	if s.cluster {
		return "{" + servicesKey + "}:heartbeat"
	}
	return heartbeatsKey
}

// idDay ends the key of the SET that a file is in.
func idDay(f meta.File) string {
	if f.HasID {
		return f.ID + ":" + f.Day
	}
	return meta.NoID + ":" + f.Day
}
