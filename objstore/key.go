package objstore

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"skein/internal/fault"
)

const (
	// KeyBytesMax is the longest key.
	KeyBytesMax = 1024
	// KeyPartBytesMax is the longest part between slashes: file systems, and
	// so MinIO, take no longer name.
	KeyPartBytesMax = 255
)

// ValidateKey returns an error that is ErrInvalidKey and tells what to change,
// or nil if key is a valid key.
func ValidateKey(key string) error {
	if len(key) > KeyBytesMax {
		return invalidKey(key, "it has %d bytes; use at most %d", len(key), KeyBytesMax)
	}
	if !utf8.ValidString(key) {
		return invalidKey(key, "it is not valid UTF-8")
	}
	for part := range strings.SplitSeq(key, "/") {
		switch {
		case part == "":
			return invalidKey(key, "it has an empty part; use no leading, trailing or double slash")
		case part == "." || part == "..":
			return invalidKey(key, "a part of it is %q", part)
		case len(part) > KeyPartBytesMax:
			return invalidKey(key, "a part of it has %d bytes; use at most %d between slashes", len(part), KeyPartBytesMax)
		}
	}
	if i := strings.IndexFunc(key, isControl); i >= 0 {
		return invalidKey(key, "it has a control character at byte %d", i)
	}
	return nil
}

// MayBegin tells whether a valid key can begin with prefix. A list of any other
// prefix is empty.
func MayBegin(prefix string) bool {
	return ValidateKey(prefix) == nil || ValidateKey(prefix+"x") == nil
}

// ValidateRange checks the offset and length that Store.Get takes.
func ValidateRange(key string, offset, length int64) error {
	if offset < 0 || length < -1 {
		return fault.Newf(fault.InvalidArgument,
			"object %q: range of %d bytes from %d: offset must be 0 or more, length -1 or more", key, length, offset)
	}
	return nil
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

const keyShownMax = 64 // bytes of a bad key that an error repeats

func invalidKey(key, format string, args ...any) error {
	if len(key) > keyShownMax {
		key = key[:keyShownMax] + "…"
	}
	return fmt.Errorf("%w %q: %s", ErrInvalidKey, key, fmt.Sprintf(format, args...))
}
