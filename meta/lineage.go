package meta

import "strings"

// Lineage is what the UIDs of a table and of its restored forms share: what is
// before the ~ in them.
func Lineage(uid string) string {
	first, _, _ := strings.Cut(uid, "~")
	return first
}
