package render

import (
	"math"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// appendTime appends a value of a type about time, without quotes.
func appendTime(dst []byte, col arrow.Array, row int) ([]byte, bool) {
	switch c := col.(type) {
	case *array.Date32:
		v := c.Value(row)
		if inf, ok := infinity(int64(v), math.MaxInt32); ok {
			return append(dst, inf...), true
		}
		return v.ToTime().AppendFormat(dst, time.DateOnly), true
	case *array.Date64:
		return c.Value(row).ToTime().AppendFormat(dst, time.DateOnly), true
	case *array.Timestamp:
		return appendTimestamp(dst, c, row), true
	case *array.Time32:
		unit := c.DataType().(*arrow.Time32Type).Unit
		return appendClock(dst, int64(c.Value(row))*int64(unit.Multiplier())), true
	case *array.Time64:
		unit := c.DataType().(*arrow.Time64Type).Unit
		return appendClock(dst, int64(c.Value(row))*int64(unit.Multiplier())), true
	case *array.Duration:
		unit := c.DataType().(*arrow.DurationType).Unit
		return appendClock(dst, int64(c.Value(row))*int64(unit.Multiplier())), true
	case *array.MonthDayNanoInterval:
		v := c.Value(row)
		return appendInterval(dst, v.Months, v.Days, v.Nanoseconds), true
	case *array.DayTimeInterval:
		v := c.Value(row)
		return appendInterval(dst, 0, v.Days, int64(v.Milliseconds)*1e6), true
	case *array.MonthInterval:
		return appendInterval(dst, int32(c.Value(row)), 0, 0), true
	}
	return dst, false
}

// infinity names DuckDB's endless dates and timestamps.
func infinity(v, largest int64) (string, bool) {
	switch v {
	case largest:
		return "infinity", true
	case -largest:
		return "-infinity", true
	}
	return "", false
}

func appendTimestamp(dst []byte, c *array.Timestamp, row int) []byte {
	t := c.DataType().(*arrow.TimestampType)
	v := c.Value(row)
	if inf, ok := infinity(int64(v), math.MaxInt64); ok {
		return append(dst, inf...)
	}
	dst = v.ToTime(t.Unit).UTC().AppendFormat(dst, "2006-01-02T15:04:05.999999999")
	if t.TimeZone != "" {
		dst = append(dst, 'Z')
	}
	return dst
}

// appendClock writes a time of day or a length of time: 04:05:06.789.
func appendClock(dst []byte, ns int64) []byte {
	u := uint64(ns)
	if ns < 0 {
		dst, u = append(dst, '-'), -u
	}
	dst = appendTwo(dst, u/3600e9)
	dst = appendTwo(append(dst, ':'), u/60e9%60)
	dst = appendTwo(append(dst, ':'), u/1e9%60)
	frac := u % 1e9
	if frac == 0 {
		return dst
	}
	digits := strconv.AppendUint(nil, 1e9+frac, 10)
	digits[0] = '.'
	for digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	return append(dst, digits...)
}

func appendTwo(dst []byte, n uint64) []byte {
	if n < 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendUint(dst, n, 10)
}

// appendInterval writes an interval as DuckDB does: 1 year 2 months 3 days
// 04:05:06.
func appendInterval(dst []byte, months, days int32, ns int64) []byte {
	start := len(dst)
	part := func(n int32, unit string) {
		if n == 0 {
			return
		}
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		dst = strconv.AppendInt(dst, int64(n), 10)
		dst = append(append(dst, ' '), unit...)
		if n != 1 && n != -1 {
			dst = append(dst, 's')
		}
	}
	part(months/12, "year")
	part(months%12, "month")
	part(days, "day")
	if ns == 0 && len(dst) > start {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	return appendClock(dst, ns)
}
