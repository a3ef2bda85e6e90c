package answer

import "strings"

// withPoint puts the point into an unscaled integer.
func withPoint(unscaled string, scale int32) string {
	digits, negative := strings.CutPrefix(unscaled, "-")
	switch {
	case scale < 0 && digits != "0":
		digits += strings.Repeat("0", int(-scale))
	case scale > 0:
		if short := int(scale) + 1 - len(digits); short > 0 {
			digits = strings.Repeat("0", short) + digits
		}
		at := len(digits) - int(scale)
		digits = plain(digits[:at] + "." + digits[at:])
	}
	if negative {
		return "-" + digits
	}
	return digits
}

// plain drops zeros at the end of a fraction.
func plain(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
