package main

import (
	"fmt"
	"io"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
)

// progressEvery is how often the bar is drawn.
const progressEvery = 100 * time.Millisecond

// progress draws the rows, bytes and rate of a load.
type progress struct {
	bar         *progressbar.ProgressBar
	start, last time.Time
	rows, bytes int64
}

// newProgress starts a bar; total is -1 if it is not known.
func newProgress(w io.Writer, total int64) *progress {
	now := time.Now()
	return &progress{start: now, last: now, bar: progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(progressEvery),
		progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionClearOnFinish(),
	)}
}

// add counts a batch that was sent.
func (p *progress) add(rows, bytes int64) {
	p.rows, p.bytes = p.rows+rows, p.bytes+bytes
	if now := time.Now(); now.Sub(p.last) >= progressEvery {
		p.last = now
		rate := float64(p.rows) / now.Sub(p.start).Seconds()
		p.bar.Describe(fmt.Sprintf("%s, %s, %s/s", count(p.rows, "row"), humanize.Bytes(uint64(p.bytes)), count(int64(rate), "row")))
	}
	// A bar that cannot be drawn is no reason to stop.
	_ = p.bar.Add64(rows)
}

// fileProgress draws how many files of a backup or restore are done.
type fileProgress struct{ bar *progressbar.ProgressBar }

func newFileProgress(w io.Writer) *fileProgress {
	return &fileProgress{newProgress(w, -1).bar}
}

func (p *fileProgress) files(done, total, bytes int64) {
	if total > 0 {
		p.bar.ChangeMax64(total)
	}
	p.bar.Describe(fmt.Sprintf("%s of %d, %s", count(done, "file"), total, humanize.Bytes(uint64(max(bytes, 0)))))
	// A bar that cannot be drawn is no reason to stop.
	_ = p.bar.Set64(min(done, max(total, 0)))
}

func (p *fileProgress) clear() { _ = p.bar.Clear() }

func (p *progress) clear() { _ = p.bar.Clear() }
