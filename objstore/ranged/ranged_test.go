package ranged

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// object is a store of one object, which counts what it is asked for.
type object struct {
	data []byte
	gets int
	err  error // of Get
	body error // after half of what is asked for
}

func (o *object) Get(_ context.Context, _ string, offset, length int64) (io.ReadCloser, error) {
	o.gets++
	if o.err != nil {
		return nil, o.err
	}
	part := o.data[min(offset, int64(len(o.data))):min(offset+length, int64(len(o.data)))]
	var body io.Reader = bytes.NewReader(part)
	if o.body != nil {
		body = io.MultiReader(bytes.NewReader(part[:len(part)/2]), iotest.ErrReader(o.body))
	}
	return io.NopCloser(body), nil
}

func TestReader(t *testing.T) {
	data := make([]byte, 3*tailBytes)
	for i := range data {
		data[i] = byte(i * 7)
	}
	for _, size := range []int{0, 1, tailBytes - 1, tailBytes, tailBytes + 1, len(data)} {
		o := &object{data: data[:size]}
		for _, at := range []int{0, 1, size / 2, size - 8, size - 1, size, size + 10} {
			for _, n := range []int{0, 1, 8, 1000, size + 1} {
				if at < 0 {
					continue
				}
				b := make([]byte, n)
				got, err := New(t.Context(), o, "k", int64(size)).ReadAt(b, int64(at))
				want := data[min(at, size):min(at+n, size)]
				if !bytes.Equal(b[:got], want) || (got < n) != errors.Is(err, io.EOF) || err != nil && !errors.Is(err, io.EOF) {
					t.Fatalf("%d bytes at %d of %d: %d, %v", n, at, size, got, err)
				}
			}
		}
	}
	o := &object{data: data}
	r := New(t.Context(), o, "k", int64(len(data)))
	for _, at := range []int{8, 100, 10_000} {
		if _, err := r.ReadAt(make([]byte, 8), int64(len(data)-at)); err != nil {
			t.Fatal(err)
		}
	}
	if o.gets != 1 || r.Err() != nil {
		t.Errorf("%d requests for one footer, %v", o.gets, r.Err())
	}
}

func TestErrorsOfTheStore(t *testing.T) {
	down := errors.New("down")
	for _, o := range []*object{{data: make([]byte, 100), err: down}, {data: make([]byte, 100), body: down}} {
		r := New(t.Context(), o, "k", 100)
		if _, err := r.ReadAt(make([]byte, 10), 0); !errors.Is(err, down) || !errors.Is(r.Err(), down) {
			t.Errorf("%v, %v", err, r.Err())
		}
	}
	r := New(t.Context(), &object{data: make([]byte, 10)}, "k", 100) // shorter than it was
	if _, err := r.ReadAt(make([]byte, 50), 50); !errors.Is(err, io.EOF) || r.Err() != nil {
		t.Errorf("a short object: %v, %v", err, r.Err())
	}
}
