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

func (p *progress) clear() { _ = p.bar.Clear() }
