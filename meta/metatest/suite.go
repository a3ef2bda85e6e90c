package metatest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"skein/meta"
)

// check is one promise of meta.Store, tried on an empty store.
type check struct {
	name string
	run  func(t T, s meta.Store)
}

// T is what a case asks of its test.
type T interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

func suite() []check {
	return slices.Concat(tableCases, commitCases, unitCases, concurrentCases, nodeCases, contextCases, versionCases, imageCases)
}

// Run tries a driver. open returns an empty store that only this test uses,
// and sees to its closing.
func Run(t *testing.T, open func(t *testing.T) meta.Store) {
	for _, c := range suite() {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// Failures tries a driver by the named cases, or by all if none is named, and
// returns the names of those that it fails, without failing t. It shows that
// the suite notices what a broken driver does.
func Failures(t *testing.T, open func(t *testing.T) meta.Store, cases ...string) []string {
	var failed []string
	for _, c := range suite() {
		if len(cases) > 0 && !slices.Contains(cases, c.name) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			r := &recorder{ctx: t.Context()}
			store := open(t)
			done := make(chan struct{})
			go func() {
				defer close(done)
				c.run(r, store)
			}()
			<-done
			if len(r.messages) > 0 {
				t.Logf("noticed: %s", r.messages[0])
				failed = append(failed, c.name)
			}
		})
	}
	return failed
}

// recorder is a T that keeps failures to itself.
type recorder struct {
	ctx      context.Context
	messages []string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Errorf(format string, args ...any) {
	r.messages = append(r.messages, fmt.Sprintf(format, args...))
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}
