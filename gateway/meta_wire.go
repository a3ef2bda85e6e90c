package gateway

import (
	"fmt"

	"skein/coordinator/catalog"
	"skein/meta"
	olapv1 "skein/proto/olap/v1"
)

// layoutText is the layout of catalogs that this program uses.
var layoutText = fmt.Sprintf("%d.x", meta.Layout)

func progressOf(p catalog.Progress) *olapv1.MetaProgress {
	return &olapv1.MetaProgress{Step: p.Step, Done: p.Done, Total: p.Total}
}

func restoreOf(r catalog.Restored) *olapv1.RestoreResult {
	out := &olapv1.RestoreResult{Snapshot: r.Key, Safety: r.Safety, DryRun: r.Report.DryRun, VersionBefore: r.Report.Before.String(),
		VersionAfter: versionText(r.Report.After), Problems: r.Lacks, Report: r.Report.String()}
	for _, t := range r.Report.Tables {
		out.Tables = append(out.Tables, &olapv1.TableDifference{Table: t.Table, Action: t.Action, FilesAdded: t.Added, FilesRemoved: t.Removed,
			FilesMissing: t.Missing, RowsBefore: t.RowsBefore, RowsAfter: t.RowsAfter, Settings: t.Settings, Examples: t.Examples})
	}
	if len(r.Newer.Tables) > 0 || r.Newer.SkippedN > 0 {
		out.Newer = rebuildOf(r.Newer)
		out.Report += out.Newer.Report
	}
	return out
}

func rebuildOf(r catalog.Rebuilt) *olapv1.RebuildResult {
	out := &olapv1.RebuildResult{DryRun: r.DryRun, Skipped: r.SkippedN, SkippedWhy: r.Skipped, VersionBefore: versionText(r.Before),
		VersionAfter: versionText(r.After), Report: r.String()}
	for _, t := range r.Tables {
		out.Tables = append(out.Tables, &olapv1.RebuiltTable{Table: t.Table, Action: t.Action, Files: t.Files, Rows: t.Rows, Schemas: int32Of(t.Schemas)})
	}
	return out
}

// versionText is empty for none.
func versionText(v meta.Semver) string {
	if v.IsZero() {
		return ""
	}
	return v.String()
}
