package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/term"
	"google.golang.org/grpc"

	"skein/cmd/skein/internal/client"
	"skein/internal/fault"
	olapv1 "skein/proto/olap/v1"
)

// told is a message of the server that tells of an operation.
type told interface{ GetOperation() *olapv1.Operation }

// watch follows an operation to its end and prints what came of it. Problems
// make it fail.
func watch[T any, P interface {
	*T
	told
}](ctx context.Context, t *terminal, cl *client.Client, quiet bool, stream grpc.ServerStreamingClient[T], err error) error {
	if err != nil {
		return cl.Error(err)
	}
	bar := newOperationBar(t, quiet)
	defer bar.clear()
	var last *olapv1.Operation
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			bar.clear()
			return left(ctx, t, last, cl.Error(err))
		}
		last = P(m).GetOperation()
		bar.show(last)
	}
	bar.clear()
	return ended(t, quiet, last)
}

// left tells how to go on with an operation that this program has lost sight
// of.
func left(ctx context.Context, t *terminal, op *olapv1.Operation, err error) error {
	switch code := fault.CodeOf(err); {
	case op == nil:
	case ctx.Err() != nil:
		fmt.Fprintf(t.err, "The %s goes on at node %s. See how: skein backup watch %s; end it: skein backup cancel %s\n", op.GetKind(), op.GetNode(), op.GetId(), op.GetId())
	case code == fault.Unavailable || code == fault.DeadlineExceeded:
		fmt.Fprintf(t.err, "The %s may still run at node %s. See how: skein backup watch %s. If it is lost, run the same command again: it goes on where it was.\n", op.GetKind(), op.GetNode(), op.GetId())
	}
	return err
}

// ended prints what came of an operation.
func ended(t *terminal, quiet bool, op *olapv1.Operation) error {
	if op == nil {
		return fault.New(fault.Unavailable, "the server ended without a result; try again, it goes on where it was")
	}
	switch op.GetState() {
	case "failed", "canceled":
		return fault.Newf(fault.FailedPrecondition, "the %s %s: %s", op.GetKind(), op.GetState(), op.GetMessage())
	case "lost":
		return fault.Newf(fault.Unavailable, "node %s has not told of the %s for a while; run the same command again, it goes on where it was", op.GetNode(), op.GetKind())
	}
	if op.GetProblems() > 0 {
		for _, example := range op.GetExamples() {
			fmt.Fprintln(t.err, example)
		}
		return fault.Newf(fault.FailedPrecondition, "%s", op.GetMessage())
	}
	if quiet {
		return nil
	}
	took := op.GetUpdated().AsTime().Sub(op.GetStarted().AsTime())
	_, err := fmt.Fprintf(t.out, "%s in %.1f s\n", op.GetMessage(), took.Seconds())
	return err
}

// operationBar draws how far an operation is, for people.
type operationBar struct{ bar *fileProgress }

func newOperationBar(t *terminal, quiet bool) operationBar {
	if quiet || !term.IsTerminal(int(t.err.Fd())) {
		return operationBar{}
	}
	return operationBar{newFileProgress(t.err)}
}

func (b operationBar) show(op *olapv1.Operation) {
	if b.bar != nil {
		b.bar.files(op.GetFiles(), op.GetFilesTotal(), op.GetBytes())
	}
}

func (b operationBar) clear() {
	if b.bar != nil {
		b.bar.clear()
	}
}

type backupWatchCmd struct {
	ID    string `arg:"" optional:"" help:"Of skein backup status; the newest operation if not given."`
	Quiet bool   `short:"q" help:"Print nothing but errors."`

	Connection connectFlags `embed:""`
}

// watchEvery is how often a running operation is asked for.
const watchEvery = 500 * time.Millisecond

// Run is called by kong.
func (c *backupWatchCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		bar := newOperationBar(t, c.Quiet)
		defer bar.clear()
		for {
			op, err := find(ctx, cl, c.ID)
			if err != nil {
				return err
			}
			if c.ID = op.GetId(); op.GetState() != "running" {
				bar.clear()
				return ended(t, c.Quiet, op)
			}
			bar.show(op)
			select {
			case <-time.After(watchEvery):
			case <-ctx.Done():
				bar.clear()
				return left(ctx, t, op, ctx.Err())
			}
		}
	})
}

// find is an operation of the list; the newest if id is empty.
func find(ctx context.Context, cl *client.Client, id string) (*olapv1.Operation, error) {
	list, err := cl.Admin.ListOperations(ctx, &olapv1.ListOperationsRequest{})
	if err != nil {
		return nil, cl.Error(err)
	}
	for _, op := range list.GetOperations() {
		if id == "" || op.GetId() == id {
			return op, nil
		}
	}
	if id == "" {
		return nil, fault.New(fault.NotFound, "no backup, verify or restore has run yet")
	}
	return nil, fault.Newf(fault.NotFound, "operation %.40q is not in the list: see skein backup status", id)
}

type backupCancelCmd struct {
	ID string `arg:"" help:"Of skein backup status."`

	Connection connectFlags `embed:""`
}

// Run is called by kong.
func (c *backupCancelCmd) Run(t *terminal) error {
	return c.Connection.use(func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Admin.CancelOperation(ctx, &olapv1.CancelOperationRequest{Id: c.ID})
		if err != nil {
			return cl.Error(err)
		}
		op := res.GetOperation()
		_, err = fmt.Fprintf(t.out, "the %s at node %s ends within seconds; what it has done stays\n", op.GetKind(), op.GetNode())
		return err
	})
}
