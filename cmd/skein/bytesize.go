package main

import (
	"fmt"
	"math"

	"github.com/dustin/go-humanize"
)

// byteSize is a number of bytes that is written with a unit: 4GB is 4e9,
// 4GiB is 4·2³⁰.
type byteSize int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *byteSize) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > math.MaxInt64 {
		return fmt.Errorf("%q is no size: write bytes or a unit, such as 4GB or 512MiB", text)
	}
	*b = byteSize(n)
	return nil
}
