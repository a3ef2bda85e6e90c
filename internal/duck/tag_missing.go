//go:build !duckdb_arrow

package duck

// Without its tag duckdb-go leaves out the Arrow interface that Skein needs.
const _ = build_skein_with_go_build_tags_duckdb_arrow
