package redismeta

import "skein/meta"

// Keys that concern the whole cluster.
const (
	tablesKey     = "tables:list"
	servicesKey   = "nodes:services"
	heartbeatsKey = "nodes:heartbeat"
	ringKey       = "cluster:hash_ring"
)

// tableKeys is the keys of one table.
type tableKeys struct {
	schema, config, stats, created, lastWrite            string
	files, oldest, newest, version, units, open, byIDDay string
}

func keysOf(table string) tableKeys {
	t, index := "table:"+table+":", "index:table:"+table+":"
	return tableKeys{
		schema: t + "schema", config: t + "config", stats: t + "stats", created: t + "created_at", lastWrite: t + "last_write",
		files: index + "files", oldest: index + "oldest", newest: index + "newest", version: index + "version",
		units: index + "units", open: index + "open", byIDDay: index + "id:",
	}
}

// idDay ends the key of the SET that a file is in.
func idDay(f meta.File) string {
	if f.HasID {
		return f.ID + ":" + f.Day
	}
	return meta.NoID + ":" + f.Day
}

// receiptKey holds the files of a table that a request has dropped, until it
// has read them.
func receiptKey(request string) string { return "tables:dropped:" + request }
