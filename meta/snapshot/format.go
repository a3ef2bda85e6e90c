package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"time"

	"skein/internal/fault"
	"skein/meta"
	"skein/meta/internal/evolution"
)

// Format is the form of snapshots that this program writes and reads.
const Format = 1

// Header is what a snapshot says beside its tables.
type Header struct {
	Format  int                          `json:"format"`
	Version meta.Semver                  `json:"version"`
	Birth   string                       `json:"birth,omitempty"` // of the catalog; none in snapshots of old
	At      time.Time                    `json:"at"`
	Who     string                       `json:"who,omitempty"`
	Nodes   []meta.Node                  `json:"nodes"`
	Ring    meta.Ring                    `json:"ring"`
	Pool    map[string]map[string]string `json:"pool"` // fields of pool:redis:status and the like
	History []meta.Change                `json:"history"`
}

// Totals is what a snapshot holds.
type Totals struct {
	Tables int   `json:"tables"`
	Files  int64 `json:"files"`
	Rows   int64 `json:"rows"`
	Bytes  int64 `json:"bytes"` // of the data files
}

// Summary is a snapshot without its contents.
type Summary struct {
	Version  meta.Semver
	At       time.Time
	Totals   Totals
	Checksum string // sha256:HEX of the text before compression
	Size     int64  // bytes written
}

// tableHeader is a table but for its files, which follow.
type tableHeader struct {
	Table        meta.Table          `json:"table"` // without Schemas
	Schemas      []evolution.Version `json:"schemas"`
	IndexVersion int64               `json:"index_version"`
	Units        []string            `json:"units"`
	Open         []meta.OpenUnit     `json:"open"`
	Count        int64               `json:"count"`
}

const (
	sumPrefix = "sha256:"
	trailerA  = ",\n\"checksum\":\"" + sumPrefix
	trailerB  = "\"}\n"
	trailer   = len(trailerA) + 2*sha256.Size + len(trailerB) // bytes
)

// Key is the object key of a snapshot: metadata/backups/YYYY-MM-DD/backup_NS.json,
// with .zst if it is compressed.
func Key(at time.Time, compressed bool) string {
	suffix := ""
	if compressed {
		suffix = ".zst"
	}
	return fmt.Sprintf("%s%s/backup_%d.json%s", Prefix, at.UTC().Format(time.DateOnly), at.UnixNano(), suffix)
}

// tail sums all bytes but the last ones, which it keeps.
type tail struct {
	sum  hash.Hash
	last []byte
}

func newTail() *tail { return &tail{sum: sha256.New()} }

func (t *tail) Write(p []byte) (int, error) {
	t.last = append(t.last, p...)
	if n := len(t.last) - trailer; n > 0 {
		t.sum.Write(t.last[:n])
		t.last = append(t.last[:0], t.last[n:]...)
	}
	return len(p), nil
}

// verify compares the checksum that the last bytes tell.
func (t *tail) verify() (string, error) {
	sum := sumPrefix + hex.EncodeToString(t.sum.Sum(nil))
	if want := trailerA + sum[len(sumPrefix):] + trailerB; string(t.last) != want {
		return "", damaged("its checksum is not %s: it was changed or cut", sum)
	}
	return sum, nil
}

func damaged(format string, args ...any) error {
	return fault.Newf(fault.FailedPrecondition, "the snapshot is damaged, use another: "+format, args...)
}
