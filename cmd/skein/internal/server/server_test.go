//go:build duckdb_arrow

package server

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClusterWithUsersNeedsASecret sees to it that a user cannot pass for a
// node where nodes have no secret to show.
func TestClusterWithUsersNeedsASecret(t *testing.T) {
	dir := t.TempDir()
	users := filepath.Join(dir, "auth.yaml")
	if err := os.WriteFile(users, []byte("users: [{name: ann, password: pw, role: read}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Config{DataDir: filepath.Join(dir, "data"), GRPCAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", AuthFile: users, Redis: "redis://127.0.0.1:1/0"}
	if _, err := Start(t.Context(), c, "test", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "cluster_secret") {
		t.Errorf("got %v", err)
	}
}
