package snapshot_test

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/boltmeta"
	"skein/meta/snapshot"
)

// altered is a snapshot with other text in place of old, and its checksum.
func altered(t *testing.T, data []byte, old, with string) []byte {
	t.Helper()
	const trailer = ",\n\"checksum\":\"sha256:"
	text, _, ok := strings.Cut(string(data), trailer)
	if !ok || !strings.Contains(text, old) {
		t.Fatalf("the snapshot has no %q", old)
	}
	text = strings.Replace(text, old, with, 1)
	sum := sha256.Sum256([]byte(text))
	return []byte(text + trailer + hex.EncodeToString(sum[:]) + "\"}\n")
}

// TestLaterProgram: a snapshot of a later program of the same major version is
// restored, without what it has more; one of another major version is refused.
func TestLaterProgram(t *testing.T) {
	s, err := boltmeta.Open(filepath.Join(t.TempDir(), "catalog"), boltmeta.Options{})
	must(t, err)
	defer s.Close()
	fill(t, s)
	want := state(t, s)
	data, _ := take(t, s, false)
	const more = `"later":{"deep":[1,{"x":"]}"}]}`
	for name, c := range map[string]struct{ old, with string }{
		"first of all":       {`{"format":`, `{` + more + `,"format":`},
		"behind the header":  {`,` + "\n" + `"tables":[`, `,` + more + `,"tables":[`},
		"in a table":         {`"index_version":`, more + `,"index_version":`},
		"in its settings":    {`"BufferSize":`, more + `,"BufferSize":`},
		"in its schemas":     {`"schemas":[{`, `"schemas":[{` + more + `,`},
		"in a file":          {`{"Path":`, `{` + more + `,"Path":`},
		"behind the files":   {"\n]}", "\n]," + more + "}"},
		"in the totals":      {`"totals":{`, `"totals":{` + more + `,`},
		"behind the totals":  {`,` + "\n" + `"totals":`, `,` + more + `,"totals":`},
		"a minor version":    {`"version":"1.3.0"`, `"version":"1.999.7"`},
		"a name of its own":  {`"birth":"`, `"birth":"x`},
		"a kind of a change": {`"kind":"create"`, `"kind":"later"`},
	} {
		t.Run(name, func(t *testing.T) {
			empty, err := boltmeta.Open(filepath.Join(t.TempDir(), "catalog"), boltmeta.Options{})
			must(t, err)
			defer empty.Close()
			_, err = snapshot.Restore(t.Context(), empty, snapshot.Request{}, from(altered(t, data, c.old, c.with)))
			must(t, err)
			same(t, "after the restore", want, state(t, empty))
		})
	}
	for name, c := range map[string]struct{ old, with string }{
		"major version": {`"version":"1.3.0"`, `"version":"2.0.0"`},
		"format":        {`"format":1`, `"format":2`},
	} {
		empty, err := boltmeta.Open(filepath.Join(t.TempDir(), "catalog"), boltmeta.Options{})
		must(t, err)
		defer empty.Close()
		_, err = snapshot.Restore(t.Context(), empty, snapshot.Request{}, from(altered(t, data, c.old, c.with)))
		if tables, readErr := empty.Tables(t.Context()); fault.CodeOf(err) != fault.FailedPrecondition || readErr != nil || len(tables) != 0 {
			t.Errorf("another %s: %v; %d tables", name, err, len(tables))
		}
	}
	if v, err := s.CatalogVersion(t.Context()); err != nil || v != (meta.Semver{Major: 1, Minor: 3}) {
		t.Error(v, err)
	}
}
