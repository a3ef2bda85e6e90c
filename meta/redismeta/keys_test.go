package redismeta_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"skein/internal/realtest"
	"skein/meta"
)

var day = time.Date(2024, 1, 15, 10, 30, 0, 5, time.UTC)

func sampleTable() meta.Table {
	return meta.Table{Name: "users", UID: "u1", Created: day, Config: meta.Config{
		BufferSize: 500, FlushIntervalSeconds: 15, RetentionDays: 365, BackupEnabled: true, Properties: map[string]string{"a": "b"},
	}}
}

func sampleCommit() meta.Commit {
	return meta.Commit{Table: "users", TableUID: "u1", Node: "n1", Unit: "unit1", Time: day.Add(time.Hour), Add: []meta.File{
		{Path: "users/user-123/2024-01-15/1.parquet", ID: "user-123", HasID: true, Day: "2024-01-15", Rows: 10, Bytes: 100, MinTime: day, MaxTime: day.Add(time.Minute)},
		{Path: "users/a%3A%25/2024-01-15/2.parquet", ID: "a:%", HasID: true, Day: "2024-01-15", Rows: 5, Bytes: 50, MinTime: day, MaxTime: day.Add(time.Second)},
		{Path: "users/_/2024-01-16/3.parquet", Day: "2024-01-16", Rows: 1, Bytes: 10},
	}}
}

// The keys have the names and types that the specification fixes.
func TestSpecificationKeys(t *testing.T) {
	ctx, url := t.Context(), realtest.Redis(t)
	s, raw := open(t, url), client(t, url)
	must(t, s.CreateTable(ctx, sampleTable()))
	_, err := s.Birth(ctx)
	must(t, err)
	if n := raw.Exists(ctx, "table:users:last_write").Val(); n != 0 {
		t.Error("a table without writes has a last write")
	}
	must(t, s.OpenUnit(ctx, "users", "u1", meta.OpenUnit{Node: "n1", Unit: "unit2"}))
	must(t, s.Commit(ctx, sampleCommit()))
	must(t, s.Heartbeat(ctx, meta.Node{ID: "n1", Address: "10.0.0.1:8815"}))
	must(t, s.SetRing(ctx, meta.NewRing([]string{"n1", "n2"})))

	types := make(map[string]string)
	for _, key := range raw.Keys(ctx, "*").Val() {
		types[key] = raw.Type(ctx, key).Val()
	}
	want := map[string]string{
		"tables:list": "set", "table:users:config": "hash", "table:users:stats": "hash",
		"table:users:created_at": "string", "table:users:last_write": "string",
		"index:table:users:id:user-123:2024-01-15": "set", "index:table:users:id:a:%:2024-01-15": "set", "index:table:users:id:_:2024-01-16": "set",
		"nodes:services": "hash", "cluster:hash_ring": "zset",
		"metadata:version": "string", "metadata:version:history": "list", "metadata:version:birth": "string",
		// ours
		"table:users:schema": "hash", "index:table:users:files": "hash", "index:table:users:oldest": "zset", "index:table:users:newest": "zset",
		"index:table:users:version": "string", "index:table:users:units": "hash", "index:table:users:open": "hash", "nodes:heartbeat": "hash",
	}
	if diff := gocmp.Diff(want, types); diff != "" {
		t.Errorf("types of keys: -want +got:\n%s", diff)
	}
	for what, pair := range map[string][2]any{
		"tables:list": {[]string{"users"}, raw.SMembers(ctx, "tables:list").Val()},
		"config": {map[string]string{"buffer_size": "500", "flush_interval_seconds": "15", "retention_days": "365", "backup_enabled": "true", "replicated": "false", "properties": `{"a":"b"}`},
			raw.HGetAll(ctx, "table:users:config").Val()},
		"stats": {map[string]string{"record_count": "16", "file_count": "3", "size_bytes": "160",
			"oldest_record": "2024-01-15T10:30:00.000000005Z", "newest_record": "2024-01-15T10:31:00.000000005Z"},
			raw.HGetAll(ctx, "table:users:stats").Val()},
		"created_at": {"2024-01-15T10:30:00.000000005Z", raw.Get(ctx, "table:users:created_at").Val()},
		"last_write": {"2024-01-15T11:30:00.000000005Z", raw.Get(ctx, "table:users:last_write").Val()},
		"paths":      {[]string{"users/a%3A%25/2024-01-15/2.parquet"}, raw.SMembers(ctx, "index:table:users:id:a:%:2024-01-15").Val()},
		"services":   {map[string]string{"n1": "10.0.0.1:8815"}, raw.HGetAll(ctx, "nodes:services").Val()},
		"ring":       {int64(2 * meta.VirtualNodes), raw.ZCard(ctx, "cluster:hash_ring").Val()},
	} {
		if diff := gocmp.Diff(pair[0], pair[1]); diff != "" {
			t.Errorf("%s: -want +got:\n%s", what, diff)
		}
	}
	if text := raw.HGet(ctx, "index:table:users:files", "users/_/2024-01-16/3.parquet").Val(); !json.Valid([]byte(text)) || strings.Contains(text, "ranges") {
		t.Errorf("file without ranges %s: it must be as before there were any", text)
	}
	if member := raw.ZRange(ctx, "cluster:hash_ring", 0, 0).Val()[0]; !strings.HasPrefix(member, "n1#") && !strings.HasPrefix(member, "n2#") {
		t.Errorf("member %q of the ring", member)
	}
	if beat := raw.HGet(ctx, "nodes:heartbeat", "n1").Val(); !json.Valid([]byte(beat)) {
		t.Errorf("heartbeat %s is not JSON", beat)
	}
	must(t, s.Leave(ctx, "n1"))
	if n := raw.Exists(ctx, "nodes:services").Val(); n != 0 {
		t.Error("a node that left is in nodes:services")
	}
}

func TestRemovedFilesLeaveTheirSets(t *testing.T) {
	ctx, url := t.Context(), realtest.Redis(t)
	s, raw := open(t, url), client(t, url)
	must(t, s.CreateTable(ctx, sampleTable()))
	c := sampleCommit()
	must(t, s.Commit(ctx, c))
	must(t, s.Commit(ctx, meta.Commit{Table: "users", TableUID: "u1", Unit: "r", Remove: []string{c.Add[0].Path, c.Add[1].Path, c.Add[2].Path}}))
	if keys := raw.Keys(ctx, "index:table:users:id:*").Val(); len(keys) != 0 {
		t.Errorf("keys %v", keys)
	}
}

func TestDropLeavesNothing(t *testing.T) {
	ctx, url := t.Context(), realtest.Redis(t)
	s, raw := open(t, url), client(t, url)
	must(t, s.CreateTable(ctx, meta.Table{Name: "other", UID: "u2"}))
	before := raw.Keys(ctx, "*").Val()
	must(t, s.CreateTable(ctx, sampleTable()))
	must(t, s.Commit(ctx, sampleCommit()))
	must(t, s.OpenUnit(ctx, "users", "u1", meta.OpenUnit{Node: "n1", Unit: "unit2"}))
	files, err := s.DropTable(ctx, "users", "u1")
	must(t, err)
	if len(files) != 3 {
		t.Errorf("%d files", len(files))
	}
	after := raw.Keys(ctx, "*").Val()
	slices.Sort(before)
	slices.Sort(after)
	if diff := gocmp.Diff(before, after); diff != "" {
		t.Errorf("keys: -before +after:\n%s", diff)
	}
	if names := raw.SMembers(ctx, "tables:list").Val(); !slices.Equal(names, []string{"other"}) {
		t.Errorf("tables:list %v", names)
	}
}
