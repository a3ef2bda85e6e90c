package disk_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"skein/internal/fault"
	"skein/objstore/internal/disk"
)

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		err  error
		code fault.Code
		says string
	}{
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, fault.ResourceExhausted, "free space"},
		{syscall.EDQUOT, fault.ResourceExhausted, "free space"},
		{syscall.EMFILE, fault.ResourceExhausted, "ulimit"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, fault.Unavailable, "owner and mode"},
		{syscall.EPERM, fault.Unavailable, "owner and mode"},
		{syscall.EROFS, fault.Unavailable, "owner and mode"},
		{syscall.EIO, fault.Unavailable, "cannot be used"},
		{context.Canceled, fault.Canceled, ""},
		{fault.New(fault.NotFound, "no such"), fault.NotFound, ""},
		{errors.New("other"), fault.Internal, ""},
	} {
		err := disk.Classify(c.err, "object directory", "/somewhere")
		if fault.CodeOf(err) != c.code || !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v gives %v %v", c.err, fault.CodeOf(err), err)
		}
		if c.says != "" && !strings.Contains(err.Error(), "object directory /somewhere") {
			t.Errorf("%v does not name the place", err)
		}
	}
	if disk.Classify(nil, "x", "y") != nil {
		t.Error("nil did not stay nil")
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first, second := open(), open()
	defer second.Close()
	if ok, err := disk.TryLock(first); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if ok, err := disk.TryLock(second); ok || err != nil {
		t.Fatal("taken twice", err)
	}
	first.Close()
	if ok, err := disk.TryLock(second); !ok || err != nil {
		t.Fatal(ok, err)
	}
}
