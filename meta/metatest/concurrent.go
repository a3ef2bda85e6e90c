package metatest

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"skein/meta"
)

var concurrentCases = []check{
	{"concurrent/commits", concurrentCommits},
	{"concurrent/same commit", sameCommit},
	{"concurrent/swaps of one file", swapsOfOneFile},
	{"concurrent/updates", concurrentUpdates},
	{"concurrent/creates", concurrentCreates},
	{"concurrent/drop and commits", dropAndCommits},
}

// together runs f for 0..n-1 at once and returns their errors.
func together(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errs
}

func concurrentCommits(t T, s meta.Store) {
	const nodes, each = 8, 12
	create(t, s, users("u1"))
	errs := together(nodes, func(node int) error {
		var errs []error
		for i := range each {
			n := node*each + i
			c := adds(file(n).Unit, file(n))
			errs = append(errs, s.Commit(t.Context(), c))
			if i%4 == 3 { // replace the file before it, and say so twice
				swap := removes(fmt.Sprint("swap-", n), file(n-1).Path)
				errs = append(errs, s.Commit(t.Context(), swap), s.Commit(t.Context(), swap))
			}
			_, err := s.Listing(t.Context(), "users")
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	ok(t, errors.Join(errs...))
	var want []meta.File
	for n := range nodes * each {
		if n%4 != 2 {
			want = append(want, file(n))
		}
	}
	wantFiles(t, s, want...)
}

func sameCommit(t T, s meta.Store) {
	create(t, s, users("u1"))
	ok(t, errors.Join(together(8, func(int) error { return s.Commit(t.Context(), adds("a", file(1))) })...))
	wantFiles(t, s, file(1))
}

func swapsOfOneFile(t T, s meta.Store) {
	create(t, s, users("u1"))
	commit(t, s, adds("a", file(0)))
	errs := together(8, func(i int) error {
		swap := adds(fmt.Sprint("swap-", i), file(i+1))
		swap.Remove = []string{file(0).Path}
		return s.Commit(t.Context(), swap)
	})
	wantFiles(t, s, file(onlyWinner(t, errs, meta.ErrConflict)+1))
}

func concurrentUpdates(t T, s meta.Store) {
	create(t, s, users("u1"))
	old := read(t, s, "users")
	errs := together(8, func(i int) error {
		change := old
		change.Config.BufferSize = int32(i)
		_, err := s.UpdateTable(t.Context(), change)
		return err
	})
	winner := onlyWinner(t, errs, meta.ErrConflict)
	got := read(t, s, "users")
	equal(t, "buffer size", int32(winner), got.Config.BufferSize)
	equal(t, "revision", old.Revision+1, got.Revision)
}

func concurrentCreates(t T, s meta.Store) {
	errs := together(8, func(i int) error { return s.CreateTable(t.Context(), users(fmt.Sprint("u", i))) })
	winner := onlyWinner(t, errs, meta.ErrTableExists)
	equal(t, "uid", fmt.Sprint("u", winner), read(t, s, "users").UID)
}

// dropAndCommits drops a table that is being written: each commit is either in
// the drop's answer or refused.
func dropAndCommits(t T, s meta.Store) {
	const writers, dropper = 4, 4
	create(t, s, users("u1"))
	var committed [writers][]meta.File
	var dropped []meta.File
	started := make(chan struct{}, writers)
	errs := together(writers+1, func(i int) error {
		if i == dropper {
			for range writers {
				<-started
			}
			var err error
			dropped, err = s.DropTable(t.Context(), "users", "u1")
			return err
		}
		for n := i; n < 10_000; n += writers {
			err := s.Commit(t.Context(), adds(file(n).Unit, file(n)))
			if n == i {
				started <- struct{}{}
			}
			if errors.Is(err, meta.ErrTableNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			committed[i] = append(committed[i], file(n))
		}
		return errors.New("the drop does not come through")
	})
	ok(t, errors.Join(errs...))
	equal(t, "files of the dropped table", sortFiles(slices.Concat(committed[:]...)), sortFiles(dropped))
}

// onlyWinner is the place of the one nil in errs; the others must be lost.
func onlyWinner(t T, errs []error, lost error) int {
	t.Helper()
	winner := slices.Index(errs, nil)
	for i, err := range errs {
		if i != winner && !errors.Is(err, lost) {
			t.Fatalf("attempt %d: error %v, want %v, as attempt %d won", i, err, lost, winner)
		}
	}
	if winner < 0 {
		t.Fatalf("nobody won: %v", errs)
	}
	return winner
}
