package gateway

import (
	"context"
	"time"

	"skein/coordinator"
	"skein/internal/fault"
	"skein/meta"
	olapv1 "skein/proto/olap/v1"
)

// heartbeatMax is the age of a heartbeat from which a node counts as lost.
const heartbeatMax = 60 * time.Second

var windows = map[string]time.Duration{
	"":    24 * time.Hour,
	"1h":  time.Hour,
	"24h": 24 * time.Hour,
	"7d":  7 * 24 * time.Hour,
}

// HealthCheck implements OlapService.
func (s *Service) HealthCheck(ctx context.Context, req *olapv1.HealthCheckRequest) (*olapv1.HealthCheckResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.RequestTimeout)
	defer cancel()
	h, err := s.coord.Health(ctx, req.GetComponents())
	if err != nil {
		return nil, fault.Status(err)
	}
	s.detail(ctx, &h)
	resp := &olapv1.HealthCheckResponse{OverallStatus: h.Overall, ComponentStatus: map[string]*olapv1.ComponentHealth{}}
	for name, c := range h.Components {
		resp.ComponentStatus[name] = &olapv1.ComponentHealth{Status: c.Status, Message: c.Message, ResponseTimeMs: milliseconds(c.Elapsed)}
	}
	return resp, nil
}

// detail adds what the connections to the stores tell of components that
// answer: one that stands on one leg is degraded.
func (s *Service) detail(ctx context.Context, h *coordinator.Health) {
	for name, describe := range s.opts.Details {
		k, asked := h.Components[name]
		if !asked || k.Status != coordinator.Healthy {
			continue
		}
		degraded, message := describe(ctx)
		if k.Message = message; degraded {
			k.Status = coordinator.Degraded
		}
		h.Components[name] = k
		if degraded && h.Overall == coordinator.Healthy {
			h.Overall = coordinator.Degraded
		}
	}
}

// GetStats implements OlapService.
func (s *Service) GetStats(ctx context.Context, req *olapv1.GetStatsRequest) (*olapv1.GetStatsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.RequestTimeout)
	defer cancel()
	window, ok := windows[req.GetDuration()]
	if !ok {
		return nil, fault.Status(fault.Newf(fault.InvalidArgument, "duration %.40q: use 1h, 24h or 7d", req.GetDuration()))
	}
	st, err := s.coord.Stats(ctx, window)
	if err != nil {
		return nil, fault.Status(err)
	}
	return &olapv1.GetStatsResponse{
		TotalQueries:       st.Queries,
		TotalWrites:        st.Writes,
		AvgQueryTimeMs:     milliseconds(st.QueryTimeAvg),
		TotalDataSizeBytes: st.Bytes,
		ActiveTables:       int32Of(st.Tables),
	}, nil
}

// GetNodes implements OlapService.
func (s *Service) GetNodes(ctx context.Context, req *olapv1.GetNodesRequest) (*olapv1.GetNodesResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.RequestTimeout)
	defer cancel()
	nodes, err := s.coord.Nodes(ctx, req.GetIncludeInactive())
	if err != nil {
		return nil, fault.Status(err)
	}
	resp := &olapv1.GetNodesResponse{TotalNodes: int32Of(len(nodes))}
	for i := range nodes {
		n := &nodes[i]
		status := nodeStatus(n)
		if status == "healthy" {
			resp.HealthyNodes++
		}
		resp.Nodes = append(resp.Nodes, &olapv1.NodeInfo{
			NodeId:        n.ID,
			Address:       n.Address,
			Status:        status,
			LastHeartbeat: timeText(n.LastHeartbeat),
			ActiveQueries: n.ActiveQueries,
		})
	}
	return resp, nil
}

func nodeStatus(n *meta.Node) string {
	switch {
	case n.LastHeartbeat.IsZero():
		return "unknown"
	case n.Left || n.Age >= heartbeatMax:
		return "unhealthy"
	}
	return "healthy"
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
