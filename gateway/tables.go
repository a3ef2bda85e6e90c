package gateway

import (
	"context"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"skein/coordinator"
	"skein/internal/fault"
	"skein/meta"
	olapv1 "skein/proto/olap/v1"
)

// CreateTable implements OlapService.
func (s *Service) CreateTable(ctx context.Context, req *olapv1.CreateTableRequest) (*olapv1.CreateTableResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.RequestTimeout)
	defer cancel()
	cfg, err := configOf(req.GetConfig())
	if err == nil {
		err = requireTable(req.GetTableName())
	}
	if err != nil {
		return nil, fault.Status(err)
	}
	created, err := s.coord.CreateTable(ctx, req.GetTableName(), cfg, req.GetIfNotExists())
	if err != nil {
		return nil, fault.Status(err)
	}
	msg := fmt.Sprintf("table %s created", req.GetTableName())
	if !created {
		msg = fmt.Sprintf("table %s already exists", req.GetTableName())
	}
	return &olapv1.CreateTableResponse{Success: true, Message: msg}, nil
}

// DropTable implements OlapService.
func (s *Service) DropTable(ctx context.Context, req *olapv1.DropTableRequest) (*olapv1.DropTableResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.RequestTimeout)
	defer cancel()
	if err := requireTable(req.GetTableName()); err != nil {
		return nil, fault.Status(err)
	}
	files, existed, err := s.coord.DropTable(ctx, req.GetTableName(), coordinator.DropOptions{IfExists: req.GetIfExists(), Cascade: req.GetCascade()})
	if err != nil {
		return nil, fault.Status(err)
	}
	msg := fmt.Sprintf("table %s dropped", req.GetTableName())
	if !existed {
		msg = fmt.Sprintf("table %s does not exist", req.GetTableName())
	}
	return &olapv1.DropTableResponse{Success: true, Message: msg, FilesDeleted: int32Of(files)}, nil
}

// ListTables implements OlapService.
func (s *Service) ListTables(ctx context.Context, req *olapv1.ListTablesRequest) (*olapv1.ListTablesResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.RequestTimeout)
	defer cancel()
	if req.GetPage() < 0 || req.GetLimit() < 0 {
		return nil, fault.Status(fault.Newf(fault.InvalidArgument, "page %d, limit %d: neither may be negative", req.GetPage(), req.GetLimit()))
	}
	page, err := s.coord.ListTables(ctx, req.GetPattern(), int(req.GetPage()), int(req.GetLimit()))
	if err != nil {
		return nil, fault.Status(err)
	}
	resp := &olapv1.ListTablesResponse{Total: int32Of(page.Total), Page: int32Of(page.Page), Limit: int32Of(page.Limit)}
	for i := range page.Tables {
		t := &page.Tables[i]
		info := infoOf(t)
		info.RecordCount, info.FileCount, info.SizeBytes = proto.Int64(t.Stats.Rows), proto.Int64(t.Stats.Files), proto.Int64(t.Stats.Bytes)
		resp.Tables = append(resp.Tables, info)
	}
	return resp, nil
}

// DescribeTable implements OlapService.
func (s *Service) DescribeTable(ctx context.Context, req *olapv1.DescribeTableRequest) (*olapv1.DescribeTableResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.RequestTimeout)
	defer cancel()
	if err := requireTable(req.GetTableName()); err != nil {
		return nil, fault.Status(err)
	}
	t, err := s.coord.DescribeTable(ctx, req.GetTableName())
	if err != nil {
		return nil, fault.Status(err)
	}
	info := infoOf(&t)
	cfg := t.Config.WithDefaults()
	info.Config = &olapv1.TableConfig{
		BufferSize:           cfg.BufferSize,
		FlushIntervalSeconds: cfg.FlushIntervalSeconds,
		RetentionDays:        cfg.RetentionDays,
		BackupEnabled:        cfg.BackupEnabled,
		Properties:           cfg.Properties,
	}
	if cfg.Replicated { // the specification's answer does not have it
		info.Config.Replicated = &cfg.Replicated
	}
	return &olapv1.DescribeTableResponse{TableInfo: info, Stats: &olapv1.TableStats{
		RecordCount:  t.Stats.Rows,
		FileCount:    t.Stats.Files,
		SizeBytes:    t.Stats.Bytes,
		OldestRecord: timeText(t.Stats.Oldest),
		NewestRecord: timeText(t.Stats.Newest),
	}}, nil
}

func infoOf(t *meta.Table) *olapv1.TableInfo {
	return &olapv1.TableInfo{
		Name:      t.Name,
		CreatedAt: timeText(t.Created),
		LastWrite: timeText(t.Stats.LastWrite),
		Status:    "active",
	}
}

func configOf(c *olapv1.TableConfig) (meta.Config, error) {
	for _, f := range []struct {
		name  string
		value int32
	}{
		{"buffer_size", c.GetBufferSize()},
		{"flush_interval_seconds", c.GetFlushIntervalSeconds()},
		{"retention_days", c.GetRetentionDays()},
	} {
		if f.value < 0 {
			return meta.Config{}, fault.Newf(fault.InvalidArgument, "%s is %d: it must not be negative, 0 means the default", f.name, f.value)
		}
	}
	return meta.Config{
		BufferSize:           c.GetBufferSize(),
		FlushIntervalSeconds: c.GetFlushIntervalSeconds(),
		RetentionDays:        c.GetRetentionDays(),
		BackupEnabled:        c.GetBackupEnabled(),
		Replicated:           c.GetReplicated(),
		Properties:           c.GetProperties(),
	}, nil
}

func requireTable(name string) error {
	if name == "" {
		return fault.New(fault.InvalidArgument, "table_name is missing")
	}
	return nil
}

// timeText is RFC 3339, with a fraction if there is one; empty for no time.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func int32Of(n int) int32 { return int32(min(n, math.MaxInt32)) }
