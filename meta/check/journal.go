package check

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
)

const logDays = 90 // that the log of a run is kept

// journal keeps what a run does, as objects of the primary store: parts that
// are written before the changes that they tell of, and the result.
type journal struct {
	to     Objects
	prefix string
	begun  bool
	parts  int
}

// intend writes what is about to be done.
func (j *journal) intend(ctx context.Context, planned []Finding) error {
	j.begun = true
	j.parts++
	return j.put(ctx, fmt.Sprintf("%05d.json", j.parts), planned)
}

// end writes what came of it.
func (j *journal) end(ctx context.Context, result Result) error {
	return j.put(ctx, "result.json", result)
}

// prune deletes the logs of runs long ago. They are listed by day.
func (j *journal) prune(ctx context.Context, now time.Time) error {
	first := LogPrefix + dayOf(now.AddDate(0, 0, -logDays))
	for o, err := range j.to.List(ctx, LogPrefix) {
		if err == nil && o.Key < first {
			err = j.to.Delete(ctx, o.Key)
		} else if err == nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("old logs of repairs: %w", err)
		}
	}
	return nil
}

func (j *journal) put(ctx context.Context, name string, what any) error {
	text, err := json.MarshalIndent(what, "", " ")
	if err == nil {
		err = j.to.Put(ctx, j.prefix+name, bytes.NewReader(text), int64(len(text)))
	}
	if err != nil {
		return fmt.Errorf("log of the repair %s: %w", j.prefix+name, err)
	}
	return nil
}
