//go:build !linux

package netlab

import (
	"context"
	"io"

	"skein/internal/fault"
)

// Enter runs a program in a network of its own; on Linux only.
func Enter(context.Context, []string, io.Writer, io.Writer) (int, error) {
	return 0, fault.New(fault.Unimplemented, "networks with slow links can be made on Linux only")
}

func inside() bool { return false }

func hideNames() error { return nil }
