package backup

import (
	"context"
	"errors"
	"testing"
	"time"

	"skein/internal/fault"
	"skein/internal/realtest"
)

// held starts an operation whose work waits for its end.
func (s *site) held(ctx context.Context) (id string, ended <-chan error) {
	ids, end := make(chan string, 1), make(chan error, 1)
	go func() {
		_, err := s.run(ctx, KindBackup, Request{Table: "t"}, func(op Operation) {
			select {
			case ids <- op.ID:
			default:
			}
		}, func(ctx context.Context, t *tracker) (string, error) {
			t.change(func(op *Operation) { op.Files = 3 })
			<-ctx.Done()
			return "", ctx.Err()
		})
		end <- err
	}()
	return <-ids, end
}

func (s *site) listed(id string) Operation {
	s.t.Helper()
	all, err := s.List(s.t.Context())
	must(s.t, err)
	for _, op := range all {
		if op.ID == id {
			return op
		}
	}
	return Operation{}
}

func (s *site) waitState(id, state string) Operation {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if op := s.listed(id); op.State == state {
			return op
		} else if time.Now().After(deadline) {
			s.t.Fatalf("%+v is not %s", op, state)
		}
	}
}

// An operation goes on without who asked for it, is listed with its progress,
// and ends when somebody cancels it, on this node or another.
func TestOperationOutlivesItsClient(t *testing.T) {
	url := realtest.Redis(t)
	s, other := openSite(t, url, Options{}, nil), openSite(t, url, Options{}, nil)
	for name, canceler := range map[string]*site{"here": s, "elsewhere": other} {
		ctx, leave := context.WithCancel(t.Context())
		id, ended := s.held(ctx)
		leave()
		if err := <-ended; fault.CodeOf(err) != fault.Canceled {
			t.Errorf("%s: %v", name, err)
		}
		time.Sleep(keepEvery + keepEvery/2)
		if op := canceler.listed(id); op.State != Running || op.Files != 3 {
			t.Errorf("%s: %+v", name, op)
		}
		op, err := canceler.Cancel(t.Context(), id)
		if err != nil || !op.Canceling {
			t.Errorf("%s: %+v, %v", name, op, err)
		}
		if op := s.waitState(id, Canceled); op.Message == "" || op.Canceling {
			t.Errorf("%s: %+v", name, op)
		}
		if _, err := canceler.Cancel(t.Context(), id); fault.CodeOf(err) != fault.FailedPrecondition {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Cancel(t.Context(), "nosuch"); fault.CodeOf(err) != fault.NotFound {
		t.Error(err)
	}
}

// A node that stops ends its operations, and says so.
func TestCloseEndsOperations(t *testing.T) {
	url := realtest.Redis(t)
	s, other := openSite(t, url, Options{RunningMax: 1}, nil), openSite(t, url, Options{}, nil)
	id, ended := s.held(t.Context())
	if _, err := s.Backup(t.Context(), Request{}, nil); fault.CodeOf(err) != fault.ResourceExhausted {
		t.Error(err)
	}
	s.Close()
	if err := <-ended; !errors.Is(err, errStopped) {
		t.Error(err)
	}
	if op := other.listed(id); op.State != Failed || op.Message != errStopped.Error() {
		t.Errorf("%+v", op)
	}
	if _, err := s.Backup(t.Context(), Request{}, nil); fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
}

// An operation has an end.
func TestOperationTakesTooLong(t *testing.T) {
	s := openSite(t, realtest.Redis(t), Options{TimeMax: 50 * time.Millisecond}, nil)
	id, ended := s.held(t.Context())
	if err := <-ended; fault.CodeOf(err) != fault.DeadlineExceeded || s.listed(id).State != Failed {
		t.Error(err, s.listed(id))
	}
}
