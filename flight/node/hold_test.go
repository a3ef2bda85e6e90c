package node_test

import (
	"context"
	"testing"

	"skein/internal/fault"
)

// holding starts a hold over the network and waits until it is ready.
func holding(t *testing.T, p *peer) (cancel context.CancelFunc, ended chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	ready := make(chan struct{})
	ended = make(chan error, 1)
	go func() { ended <- p.remote.Hold(ctx, "q", func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	return cancel, ended
}

func TestHoldEndsWithItsCaller(t *testing.T) {
	w := &worker{freed: make(chan struct{})}
	cancel, ended := holding(t, startPeer(t, w, "", ""))
	cancel()
	if err := <-ended; fault.CodeOf(err) != fault.Canceled {
		t.Errorf("got %v", err)
	}
	<-w.freed // hangs, and fails the test, if the peer is not told
}

func TestHoldThatIsLost(t *testing.T) {
	for name, end := range map[string]func(*peer, *worker){
		"killed":        func(p *peer, _ *worker) { p.Stop() },
		"ended":         func(_ *peer, w *worker) { w.endHold <- nil },
		"ended by what": func(_ *peer, w *worker) { w.endHold <- fault.New(fault.Unavailable, "shutting down") },
		"canceled":      func(_ *peer, w *worker) { w.endHold <- context.Canceled },
	} {
		t.Run(name, func(t *testing.T) {
			w := &worker{freed: make(chan struct{}), endHold: make(chan error)}
			p := startPeer(t, w, "", "")
			_, ended := holding(t, p)
			end(p, w)
			if err := <-ended; fault.CodeOf(err) != fault.Unavailable {
				t.Errorf("got %v (%s)", err, fault.CodeOf(err))
			}
		})
	}
}

func TestKeepWithoutFragment(t *testing.T) {
	p := startPeer(t, &worker{}, "", "")
	if _, err := p.remote.Keep(t.Context(), nil); fault.CodeOf(err) != fault.InvalidArgument {
		t.Errorf("got %v", err)
	}
}
