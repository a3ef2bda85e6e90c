package main

import (
	"errors"
	"time"

	"skein/cmd/skein/internal/server"
)

// catalogFlags is the part of serveCmd that concerns how the catalog is looked
// after.
type catalogFlags struct {
	MetaSnapshots bool          `help:"Keep snapshots of the catalog, in the backup store if there is one." default:"true" negatable:"" env:"SKEIN_META_SNAPSHOTS" group:"Catalog:"`
	MetaEvery     time.Duration `help:"Time between snapshots of the catalog." default:"1h" env:"SKEIN_META_EVERY" placeholder:"TIME" group:"Catalog:"`
	MetaKeep      time.Duration `help:"How long snapshots of the catalog are kept; the newest three stay." default:"168h" env:"SKEIN_META_KEEP" placeholder:"TIME" group:"Catalog:"`
	MetaPlain     bool          `help:"Do not compress snapshots of the catalog." env:"SKEIN_META_PLAIN" group:"Catalog:"`

	RetentionEvery time.Duration `help:"Time between looks for days that are older than a table's retention_days." default:"10m" env:"SKEIN_RETENTION_EVERY" placeholder:"TIME" group:"Catalog:"`
	RetentionGrace time.Duration `help:"How long files stay after their day has left the index; longer than any query." default:"24h" env:"SKEIN_RETENTION_GRACE" placeholder:"TIME" group:"Catalog:"`
	LeaderTimeout  time.Duration `help:"How long after its death a leader is replaced; 15s if not given." env:"SKEIN_LEADER_TIMEOUT" placeholder:"TIME" group:"Catalog:"`

	CheckEvery  time.Duration `help:"Time between checks of the catalog against the object stores; 0 for none." default:"24h" env:"SKEIN_CHECK_EVERY" placeholder:"TIME" group:"Catalog:"`
	CheckRepair bool          `help:"Let these checks mend what they find, as far as no row is lost; else they tell of it in the log." env:"SKEIN_CHECK_REPAIR" group:"Catalog:"`
}

func (f *catalogFlags) validate() error {
	if f.CheckEvery < 0 {
		return errors.New("--check-every must not be negative; 0 is never")
	}
	if f.MetaEvery <= 0 || f.MetaKeep <= 0 || f.RetentionEvery <= 0 || f.RetentionGrace <= 0 {
		return errors.New("--meta-every, --meta-keep, --retention-every and --retention-grace must be positive, such as 1h")
	}
	if f.LeaderTimeout < 0 || f.LeaderTimeout > 0 && f.LeaderTimeout < time.Second {
		return errors.New("--leader-timeout must be at least 1s")
	}
	return nil
}

func (f *catalogFlags) into(c *server.CatalogConfig) {
	*c = server.CatalogConfig{SnapshotEvery: f.MetaEvery, SnapshotKeep: f.MetaKeep, SnapshotPlain: f.MetaPlain,
		TidyEvery: f.RetentionEvery, Grace: f.RetentionGrace, LeadTTL: f.LeaderTimeout}
	c.CheckEvery, c.CheckRepairs = f.CheckEvery, f.CheckRepair
	if f.CheckEvery == 0 {
		c.CheckEvery = -1
	}
	if !f.MetaSnapshots {
		c.SnapshotEvery = -1
	}
}
