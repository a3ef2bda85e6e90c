package gateway

import (
	"context"

	"skein/coordinator"
	"skein/internal/fault"
	olapv1 "skein/proto/olap/v1"
)

// Nodes is what the front door asks about nodes that are dead for good.
type Nodes interface {
	// Unflushed lists what the node has open.
	Unflushed(ctx context.Context, node string) ([]coordinator.Unit, error)
	// GiveUp ends the wait for that; confirm is the node's name once more.
	GiveUp(ctx context.Context, node, confirm string) ([]coordinator.Unit, error)
}

// ForgetNode implements MetaService.
func (s *Service) ForgetNode(ctx context.Context, req *olapv1.ForgetNodeRequest) (*olapv1.ForgetNodeResponse, error) {
	if s.opts.Nodes == nil {
		return nil, fault.Status(fault.New(fault.Unimplemented, "this server gives no node up"))
	}
	if req.GetNode() == "" {
		return nil, fault.Status(fault.New(fault.InvalidArgument, "name the node"))
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.RequestTimeout)
	defer cancel()
	var units []coordinator.Unit
	var err error
	if req.GetDryRun() {
		units, err = s.opts.Nodes.Unflushed(ctx, req.GetNode())
	} else {
		units, err = s.opts.Nodes.GiveUp(ctx, req.GetNode(), req.GetConfirm())
	}
	if err != nil {
		return nil, fault.Status(err)
	}
	resp := &olapv1.ForgetNodeResponse{DryRun: req.GetDryRun()}
	for _, u := range units {
		resp.Units = append(resp.Units, &olapv1.UnflushedUnit{Table: u.Table, Unit: u.Unit, Replica: u.Replica})
	}
	return resp, nil
}
