package redismeta_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"skein/internal/realtest"
	"skein/meta"
)

// TestNewerNeighbour: while a cluster is upgraded, nodes of a newer release keep
// in the catalog what this one does not know. It reads past it, and leaves it
// where it is.
func TestNewerNeighbour(t *testing.T) {
	url := realtest.Redis(t)
	ctx, s, raw := t.Context(), open(t, url), client(t, url)
	file := func(n int) meta.File {
		return meta.File{Path: fmt.Sprintf("t/_/2024-01-01/%d.parquet", n), Day: "2024-01-01", Rows: 1, Bytes: 1, Unit: fmt.Sprint("u", n)}
	}
	commit := func(n int) error {
		return s.Commit(ctx, meta.Commit{Table: "t", TableUID: "t-1", Unit: fmt.Sprint("u", n), Add: []meta.File{file(n)}})
	}
	must(t, s.CreateTable(ctx, meta.Table{Name: "t", UID: "t-1", Created: time.Now(), Schemas: []meta.Schema{{Records: true}}}), commit(1),
		s.Heartbeat(ctx, meta.Node{ID: "n1", Address: "n1:1"}))

	beat, err := raw.HGet(ctx, "nodes:heartbeat", "n1").Result()
	must(t, err)
	stored, err := raw.HGet(ctx, "index:table:t:files", file(1).Path).Result()
	must(t, err)
	change, err := raw.LIndex(ctx, "metadata:version:history", 0).Result()
	must(t, err)
	newer := with(t, stored, "bloom", "AAAA")
	must(t, raw.HSet(ctx, "table:t:config", "tier", "cold").Err(), raw.HSet(ctx, "table:t:schema", "clustering", "[]").Err(),
		raw.HSet(ctx, "nodes:heartbeat", "n1", with(t, beat, "zone", "eu")).Err(), raw.HSet(ctx, "nodes:heartbeat", "n9", with(t, beat, "zone", "eu")).Err(),
		raw.HSet(ctx, "nodes:services", "n9", "n9:1").Err(), raw.HSet(ctx, "index:table:t:files", file(1).Path, newer).Err(),
		raw.LSet(ctx, "metadata:version:history", 0, with(t, change, "reason", "x")).Err())

	table, err := s.Table(ctx, "t")
	must(t, err)
	table.Config.RetentionDays = 9
	_, err = s.UpdateTable(ctx, table)
	must(t, err, commit(2), s.Heartbeat(ctx, meta.Node{ID: "n2", Address: "n2:1"}))
	for key, want := range map[[2]string]string{
		{"table:t:config", "tier"}: "cold", {"table:t:config", "retention_days"}: "9", {"table:t:schema", "clustering"}: "[]",
		{"index:table:t:files", file(1).Path}: newer,
	} {
		if got := raw.HGet(ctx, key[0], key[1]).Val(); got != want {
			t.Errorf("%s of %s is %q, want %q", key[1], key[0], got, want)
		}
	}
	if l, err := s.Listing(ctx, "t"); err != nil || len(l.Files) != 2 {
		t.Errorf("%d files, %v", len(l.Files), err)
	}
	if nodes, err := s.Nodes(ctx); err != nil || len(nodes) != 3 {
		t.Errorf("nodes %v, %v", nodes, err)
	}
	if changes, err := s.History(ctx, 10); err != nil || len(changes) != 2 {
		t.Errorf("changes %v, %v", changes, err)
	}
}

// with is a JSON object with one more member.
func with(t *testing.T, text, name string, value any) string {
	t.Helper()
	var object map[string]any
	must(t, json.Unmarshal([]byte(text), &object))
	object[name] = value
	out, err := json.Marshal(object)
	must(t, err)
	return string(out)
}
