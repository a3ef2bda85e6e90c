package backup

import (
	"context"
	"maps"
	"slices"

	"skein/objstore/transfer"
)

// Status tells how the automatic backup is.
type Status struct {
	Waiting, Parked int64
	ParkedFiles     []transfer.Record // some of them
	Tables          []History         // by name
}

// parkedShown is how many parked files a Status repeats.
const parkedShown = 20

// Status asks the queue and the backup store.
func (s *Service) Status(ctx context.Context) (st Status, err error) {
	if st.Waiting, st.Parked, err = s.Queue.Len(ctx); err != nil {
		return st, err
	}
	if st.ParkedFiles, err = s.Queue.Parked(ctx, parkedShown); err != nil {
		return st, err
	}
	all, err := s.histories(ctx)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		st.Tables = append(st.Tables, *all[name])
	}
	return st, err
}

// RetryParked lets the automatic backup try again what it has put aside, and
// tells how many files that are.
func (s *Service) RetryParked(ctx context.Context) (files int64, err error) {
	for {
		records, err := s.Queue.Parked(ctx, parkedAtOnce)
		if err != nil || len(records) == 0 {
			return files, err
		}
		keys := make([]string, len(records))
		for i, r := range records {
			keys[i] = r.Key
		}
		if err := s.Queue.Unpark(ctx, keys...); err != nil {
			return files, err
		}
		files += int64(len(keys))
	}
}

const parkedAtOnce = 500
