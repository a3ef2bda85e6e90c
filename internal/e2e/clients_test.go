package e2e

import (
	"path/filepath"
	"slices"
	"testing"
)

// TestFlightClients runs what flight/clienttest checks of the ADBC and JDBC
// drivers, as a user of a guarded node and on a node of a cluster.
func TestFlightClients(t *testing.T) {
	t.Parallel()
	scripts := filepath.Join("..", "..", "flight", "clienttest")
	clients := map[string][]string{
		"ADBC": {python(t), "-B", filepath.Join(scripts, "check_adbc.py")},
		"JDBC tools": {tool(t, "java", javaHint), "--add-opens=java.base/java.nio=ALL-UNNAMED", "-Xmx512m", "-cp", jdbcJar(t), filepath.Join(scripts, "CheckJdbcTools.java"),
			filepath.Join("..", "..", "docs", "clients", "types.md")},
		"JDBC": {tool(t, "java", javaHint), "--add-opens=java.base/java.nio=ALL-UNNAMED", "-Xmx512m", "-cp", jdbcJar(t), filepath.Join(scripts, "CheckJdbc.java")},
	}
	guarded, cluster := startNode(t, "guarded", "--auth-file", authFile(t)), startCluster(t, 2)
	for name, argv := range clients {
		for server, args := range map[string][]string{
			"a guarded node":   {guarded.GRPC, "ann", "right"},
			"a cluster's node": {cluster.Nodes[1].GRPC},
		} {
			t.Run(name+" on "+server, func(t *testing.T) {
				if o := execute(t, nil, nil, slices.Concat(argv, args)...); o.Exit != 0 {
					t.Errorf("exit %d\n%s%s", o.Exit, o.Stdout, o.Stderr)
				}
			})
		}
	}
}
