package objstoretest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"skein/internal/fault"
	"skein/objstore"
)

func TestFaultyWithoutRulesPasses(t *testing.T) {
	Run(t, func(testing.TB) objstore.Store { return Faulty(newTwin(sound)) })
}

func TestFaultyFailsTheNth(t *testing.T) {
	errFault := fault.New(fault.Unavailable, "injected")
	s := Faulty(newTwin(sound), OnNth(OpPut, 2, errFault), Rule{Op: OpGet, Key: "bad", Err: errFault}, Rule{Op: OpList, Err: errFault})
	for i, key := range []string{"a", "b", "c"} {
		err := s.Put(t.Context(), key, strings.NewReader("x"), 1)
		if failed := errors.Is(err, errFault); failed != (i == 1) {
			t.Errorf("put %d: %v", i, err)
		}
	}
	wantAbsent(t, s, "b")
	if _, err := get(t, s, "bad/1", 0, -1); !errors.Is(err, errFault) {
		t.Error(err)
	}
	wantObject(t, s, "a", []byte("x"))
	for _, err := range s.List(t.Context(), "") {
		if !errors.Is(err, errFault) {
			t.Error(err)
		}
	}
	if s.Calls(OpPut) != 3 || s.Calls(OpGet) != 3 || s.Calls(OpAny) != 8 {
		t.Errorf("calls: %v", s.calls)
	}
}

func TestFaultyCuts(t *testing.T) {
	errFault := fault.New(fault.Unavailable, "injected")
	s := Faulty(newTwin(sound), Rule{Key: "clean", Cut: true, CutAt: 3}, Rule{Key: "broken", Cut: true, CutAt: 2, Err: errFault})
	for _, key := range []string{"clean", "broken"} {
		if err := s.store.Put(t.Context(), key, strings.NewReader("12345"), 5); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := get(t, s, "clean", 0, -1); string(b) != "123" || err != nil {
		t.Errorf("%s, %v", b, err)
	}
	if b, err := get(t, s, "broken", 0, -1); string(b) != "12" || !errors.Is(err, errFault) {
		t.Errorf("%s, %v", b, err)
	}
}

func TestFaultyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		done := false
		s := Faulty(newTwin(sound), Rule{Op: OpPing, Wait: open, Late: time.Hour, Do: func(context.Context) error {
			done = true
			return nil
		}})
		start := time.Now()
		time.AfterFunc(time.Minute, func() { close(open) })
		if err := s.Ping(t.Context()); err != nil || !done {
			t.Error(err, done)
		}
		if took := time.Since(start); took != time.Hour+time.Minute {
			t.Errorf("took %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Ping(ctx); fault.CodeOf(err) != fault.DeadlineExceeded {
			t.Error(err)
		}
	})
}
