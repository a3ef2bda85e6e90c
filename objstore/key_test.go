package objstore_test

import (
	"context"
	"errors"
	"io"
	"math"
	"path"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"skein/internal/fault"
	"skein/objstore"
)

func TestValidateKey(t *testing.T) {
	for _, key := range []string{
		"a", "users/user-123/2024-01-15/1705123456789.parquet", "...", "..a", "a b", "%2F", "ключ/日本語",
		strings.Repeat("a", 255), strings.Repeat(strings.Repeat("a", 127)+"/", 7) + strings.Repeat("a", 128),
	} {
		if err := objstore.ValidateKey(key); err != nil {
			t.Errorf("%.40q: %v", key, err)
		}
	}
	for key, says := range map[string]string{
		"":                                "empty part",
		"/a":                              "empty part",
		"a/":                              "empty part",
		"a//b":                            "empty part",
		".":                               `is "."`,
		"a/../b":                          `is ".."`,
		"a\x00b":                          "control character at byte 1",
		"ab\x1f":                          "control character at byte 2",
		"\x7f":                            "control character",
		"a\xff":                           "UTF-8",
		strings.Repeat("a", 256):          "256 bytes",
		strings.Repeat("ab/", 341) + "ab": "1025 bytes",
		strings.Repeat("secret/", 1_000_000) + "\n": "7000001 bytes",
	} {
		err := objstore.ValidateKey(key)
		if !errors.Is(err, objstore.ErrInvalidKey) || fault.CodeOf(err) != fault.InvalidArgument || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: %v, want %q", key, err, says)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("%.40q: message of %d bytes", key, len(err.Error()))
		}
	}
}

func TestMayBegin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringOfN(rapid.RuneFrom([]rune("ab./é")), 1, 12, -1).Draw(t, "key")
		for i := range key { // at the starts of runes
			if objstore.ValidateKey(key) == nil && !objstore.MayBegin(key[:i]) {
				t.Fatalf("%q cannot begin %q", key[:i], key)
			}
		}
	})
	for _, prefix := range []string{"/", "a//", "../", "a/./", "\x00", strings.Repeat("a", 256), strings.Repeat("a/", 600)} {
		if objstore.MayBegin(prefix) {
			t.Errorf("%.40q may begin a key", prefix)
		}
	}
	if full := strings.Repeat(strings.Repeat("a", 127)+"/", 7) + strings.Repeat("a", 128); !objstore.MayBegin(full) {
		t.Error("the longest key does not begin itself")
	}
}

func TestValidKeyStaysBelow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringOfN(rapid.RuneFrom([]rune("a./\\ \x00é")), 0, 12, -1).Draw(t, "key")
		if objstore.ValidateKey(key) == nil && path.Join("/root", key) != "/root/"+key {
			t.Fatalf("%q means %q", key, path.Join("/root", key))
		}
	})
}

func TestValidateRange(t *testing.T) {
	for r, valid := range map[[2]int64]bool{
		{0, -1}: true, {0, 0}: true, {5, 7}: true, {math.MaxInt64, math.MaxInt64}: true,
		{-1, 5}: false, {0, -2}: false,
	} {
		if err := objstore.ValidateRange("a", r[0], r[1]); (err == nil) != valid {
			t.Errorf("%v: %v", r, err)
		}
	}
}

func TestExactly(t *testing.T) {
	errReader := fault.New(fault.Aborted, "broken")
	for name, c := range map[string]struct {
		r    io.Reader
		size int64
		want error
	}{
		"exact":          {strings.NewReader("12345"), 5, nil},
		"one by one":     {iotest.OneByteReader(strings.NewReader("12345")), 5, nil},
		"end with data":  {iotest.DataErrReader(strings.NewReader("12345")), 5, nil},
		"empty":          {strings.NewReader(""), 0, nil},
		"short":          {strings.NewReader("1234"), 5, objstore.ErrSize},
		"nothing":        {strings.NewReader(""), 5, objstore.ErrSize},
		"long":           {strings.NewReader("123456"), 5, objstore.ErrSize},
		"long and slow":  {iotest.OneByteReader(strings.NewReader("123456")), 5, objstore.ErrSize},
		"not empty":      {strings.NewReader("1"), 0, objstore.ErrSize},
		"broken":         {io.MultiReader(strings.NewReader("12"), iotest.ErrReader(errReader)), 5, errReader},
		"broken at end":  {io.MultiReader(strings.NewReader("12345"), iotest.ErrReader(errReader)), 5, errReader},
		"unexpected end": {iotest.ErrReader(io.ErrUnexpectedEOF), 5, io.ErrUnexpectedEOF},
		"hung at end":    {io.MultiReader(strings.NewReader("12345"), hung{}), 5, io.ErrNoProgress},
	} {
		r := objstore.Exactly(t.Context(), "key", c.r, c.size)
		b, err := io.ReadAll(r)
		if !errors.Is(err, c.want) || !errors.Is(r.Err(), c.want) {
			t.Errorf("%s: %v, Err %v, want %v", name, err, r.Err(), c.want)
		}
		if whole := int64(len(b)) == c.size; c.size > 0 && whole != (c.want == nil) {
			t.Errorf("%s: gave %d of %d bytes", name, len(b), c.size)
		}
		if err != nil && !strings.Contains(err.Error(), `"key"`) {
			t.Errorf("%s: %v does not name the object", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := io.ReadAll(objstore.Exactly(ctx, "key", strings.NewReader("1"), 1)); fault.CodeOf(err) != fault.Canceled {
		t.Error(err)
	}
}

type hung struct{}

func (hung) Read([]byte) (int, error) { return 0, nil }
