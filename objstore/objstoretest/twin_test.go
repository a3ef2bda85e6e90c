package objstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"skein/objstore"
)

// flaw names one promise that a twin breaks.
type flaw string

const (
	sound             flaw = ""
	keepsHalf         flaw = "keeps the half that a broken reader gave"
	ignoresSize       flaw = "believes the reader, not the size"
	writesInPlace     flaw = "readers see a part of a new object"
	losesOldOnFailure flaw = "a failed put removes the old object"
	appends           flaw = "a second put appends"
	seeksToStart      flaw = "rewinds a reader that can seek"
	rangeShifted      flaw = "ranges begin a byte late"
	rangeEndFails     flaw = "a range beyond the end fails"
	rangeUnchecked    flaw = "takes a negative range for the whole"
	missingIsEmpty    flaw = "what is missing is empty"
	statSizeWrong     flaw = "stat tells a wrong size"
	deleteMissing     flaw = "deleting what is missing fails"
	deletePrefix      flaw = "delete takes what begins with the key too"
	anyKey            flaw = "takes any key"
	foldsCase         flaw = "changes odd keys"
	listUnordered     flaw = "lists by time, not by key"
	listByDirectory   flaw = "lists whole directories only"
	listIgnoresPrefix flaw = "lists all"
	listRunsOn        flaw = "lists on after it was stopped"
	ignoresContext    flaw = "goes on after cancel"
	pingLeavesProbe   flaw = "ping leaves its probe"
)

var flaws = []flaw{
	keepsHalf, ignoresSize, writesInPlace, losesOldOnFailure, appends, seeksToStart, rangeShifted, rangeEndFails,
	rangeUnchecked, missingIsEmpty, statSizeWrong, deleteMissing, deletePrefix, anyKey, foldsCase, listUnordered,
	listByDirectory, listIgnoresPrefix, listRunsOn, ignoresContext, pingLeavesProbe,
}

// twin keeps objects in memory and breaks one promise.
type twin struct {
	flaw flaw

	mu      sync.Mutex
	objects map[string][]byte
	order   []string // keys as they were first put
}

func newTwin(f flaw) *twin { return &twin{flaw: f, objects: map[string][]byte{}} }

func (s *twin) check(ctx context.Context, key string) error {
	if err := objstore.ValidateKey(key); err != nil && s.flaw != anyKey {
		return err
	}
	if ctx.Err() != nil && s.flaw != ignoresContext {
		return ctx.Err()
	}
	return nil
}

func (s *twin) set(key string, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flaw == appends {
		b = append(slices.Clone(s.objects[key]), b...)
	}
	if _, ok := s.objects[key]; !ok {
		s.order = append(s.order, key)
	}
	s.objects[key] = b
}

func (s *twin) name(key string) string {
	if s.flaw == foldsCase {
		return strings.ReplaceAll(key, "%", "_")
	}
	return key
}

func (s *twin) Put(ctx context.Context, key string, r io.Reader, size int64) error {
	if err := s.check(ctx, key); err != nil {
		return err
	}
	if size < 0 {
		return objstore.ValidateRange(key, size, 0)
	}
	if seeker, ok := r.(io.Seeker); ok && s.flaw == seeksToStart {
		_, _ = seeker.Seek(0, io.SeekStart)
		r = io.LimitReader(r, size)
	}
	if s.flaw == ignoresContext {
		ctx = context.WithoutCancel(ctx)
	}
	source := io.Reader(objstore.Exactly(ctx, key, r, size))
	if s.flaw == ignoresSize {
		source = r
	}
	b, err := io.ReadAll(source)
	switch {
	case err != nil && s.flaw == keepsHalf:
		s.set(s.name(key), b)
	case err != nil && s.flaw == losesOldOnFailure:
		s.mu.Lock()
		delete(s.objects, key)
		s.mu.Unlock()
	}
	if err != nil {
		return err
	}
	if s.flaw == writesInPlace {
		s.set(s.name(key), b[:len(b)/2])
		time.Sleep(time.Millisecond) // long enough to be seen
	}
	s.set(s.name(key), b)
	return nil
}

func (s *twin) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := s.check(ctx, key); err != nil {
		return nil, err
	}
	if err := objstore.ValidateRange(key, offset, length); err != nil {
		if s.flaw != rangeUnchecked {
			return nil, err
		}
		offset, length = 0, -1
	}
	s.mu.Lock()
	b, ok := s.objects[s.name(key)]
	s.mu.Unlock()
	if !ok && s.flaw != missingIsEmpty {
		return nil, fmt.Errorf("object %q: %w", key, objstore.ErrNotFound)
	}
	size := int64(len(b))
	if s.flaw == rangeEndFails && offset > size {
		return nil, errors.New("out of range")
	}
	if s.flaw == rangeShifted && offset > 0 {
		offset++
	}
	offset = min(offset, size)
	if length == -1 || length > size-offset {
		length = size - offset
	}
	return io.NopCloser(bytes.NewReader(b[offset : offset+length])), nil
}

func (s *twin) Stat(ctx context.Context, key string) (objstore.Info, error) {
	if err := s.check(ctx, key); err != nil {
		return objstore.Info{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.objects[s.name(key)]
	if !ok {
		return objstore.Info{}, fmt.Errorf("object %q: %w", key, objstore.ErrNotFound)
	}
	size := int64(len(b))
	if s.flaw == statSizeWrong {
		size++
	}
	return objstore.Info{Key: key, Size: size, Modified: time.Now()}, nil
}

func (s *twin) Delete(ctx context.Context, key string) error {
	if err := s.check(ctx, key); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.objects[s.name(key)]; !ok && s.flaw == deleteMissing {
		return objstore.ErrNotFound
	}
	maps.DeleteFunc(s.objects, func(k string, _ []byte) bool {
		return k == s.name(key) || s.flaw == deletePrefix && strings.HasPrefix(k, key)
	})
	return nil
}

func (s *twin) List(ctx context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		if err := ctx.Err(); err != nil && s.flaw != ignoresContext {
			yield(objstore.Info{}, err)
			return
		}
		for _, info := range s.list(prefix) {
			if !yield(info, nil) && s.flaw != listRunsOn {
				return
			}
		}
	}
}

func (s *twin) list(prefix string) []objstore.Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := slices.Sorted(maps.Keys(s.objects))
	if s.flaw == listUnordered {
		keys = s.order
	}
	var infos []objstore.Info
	for _, key := range keys {
		b, ok := s.objects[key]
		wanted := strings.HasPrefix(key, prefix) || s.flaw == listIgnoresPrefix
		if s.flaw == listByDirectory && prefix != "" {
			wanted = strings.HasPrefix(key, strings.TrimSuffix(prefix, "/")+"/")
		}
		if ok && wanted {
			infos = append(infos, objstore.Info{Key: key, Size: int64(len(b)), Modified: time.Now()})
		}
	}
	return infos
}

func (s *twin) Ping(ctx context.Context) error {
	if s.flaw == pingLeavesProbe {
		s.set("probe", nil)
	}
	if s.flaw == ignoresContext {
		return nil
	}
	return ctx.Err()
}

func TestSoundTwinPasses(t *testing.T) {
	Run(t, func(testing.TB) objstore.Store { return newTwin(sound) })
}

func TestEveryBrokenTwinFails(t *testing.T) {
	for _, f := range flaws {
		t.Run(string(f), func(t *testing.T) {
			for _, c := range cases {
				if failure := try(t, c.check, newTwin(f)); failure != "" {
					t.Logf("caught by %s: %s", c.name, failure)
					return
				}
			}
			t.Error("the suite passes a store that " + f)
		})
	}
}

// try runs one check and returns how it failed; empty if it did not.
func try(t *testing.T, check func(testing.TB, objstore.Store), s objstore.Store) string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				r.failure = fmt.Sprint("panic: ", p)
			}
		}()
		check(r, s)
	}()
	<-done
	return r.failure
}

// recorder is a test that keeps its failure to itself.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Error(args ...any)         { r.failure = fmt.Sprint(args...) }
func (r *recorder) Errorf(f string, a ...any) { r.failure = fmt.Sprintf(f, a...) }
func (r *recorder) Fatal(args ...any)         { r.Error(args...); r.FailNow() }
func (r *recorder) Fatalf(f string, a ...any) { r.Errorf(f, a...); r.FailNow() }
func (r *recorder) FailNow()                  { panic(r.failure) }
