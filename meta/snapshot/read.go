package snapshot

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"skein/meta"
	"skein/meta/internal/evolution"
)

// Limits of what is read.
const (
	valueBytesMax  = 64 << 20 // of one file, schema or header
	windowBytesMax = 64 << 20 // of the decompressor
)

// Read reads a snapshot and calls f for each table, as far as it is well
// formed: only when Read returns nil is all of it verified. Image.Files must be
// read within f, or not at all. A nil f only verifies.
func Read(ctx context.Context, r io.Reader, f func(Header, meta.Image) error) (Header, Summary, error) {
	in, stop, err := open(r)
	if err != nil {
		return Header{}, Summary{}, err
	}
	defer stop()
	p := newReader(ctx, in)
	if err := p.object(f); err != nil {
		return p.header, Summary{}, err
	}
	sum, err := p.finish()
	return p.header, Summary{Version: p.header.Version, At: p.header.At, Totals: p.totals, Checksum: sum, Size: p.size}, err
}

// ReadHeader reads what a snapshot says before its tables. It verifies nothing
// of what follows.
func ReadHeader(ctx context.Context, r io.Reader) (Header, error) {
	in, stop, err := open(r)
	if err != nil {
		return Header{}, err
	}
	defer stop()
	p := newReader(ctx, in)
	err = p.begin()
	return p.header, err
}

// open undoes the compression, if there is one.
func open(r io.Reader) (io.Reader, func(), error) {
	b := bufio.NewReaderSize(r, 256<<10)
	if magic, _ := b.Peek(4); !bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		return b, func() {}, nil
	}
	z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(windowBytesMax))
	if err != nil {
		return nil, nil, damaged("%v", err)
	}
	return z, z.Close, nil
}

// reader reads the members of a snapshot in their order.
type reader struct {
	ctx    context.Context
	in     io.Reader
	dec    *json.Decoder
	tail   *tail
	left   int64 // bytes that the value at hand may still have
	size   int64
	err    error // of the source
	header Header
	totals Totals // as told
	seen   Totals
}

func newReader(ctx context.Context, in io.Reader) *reader {
	p := &reader{ctx: ctx, in: in, tail: newTail(), left: valueBytesMax}
	p.dec = json.NewDecoder(p)
	return p
}

// Read gives the decoder its text, and sums it.
func (p *reader) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		p.err = err
		return 0, err
	}
	if p.left <= 0 {
		p.err = damaged("a value has more than %d bytes", valueBytesMax)
		return 0, p.err
	}
	n, err := p.in.Read(b)
	p.left -= int64(n)
	p.size += int64(n)
	_, _ = p.tail.Write(b[:n])
	if err != nil && err != io.EOF {
		p.err = err
	}
	return n, err
}

// fail tells what is wrong with the text.
func (p *reader) fail(what string, err error) error {
	switch {
	case p.ctx.Err() != nil:
		return p.ctx.Err()
	case p.err != nil:
		return fmt.Errorf("snapshot: %w", p.err)
	}
	return damaged("%s at byte %d: %v", what, p.dec.InputOffset(), err)
}

func (p *reader) value(what string, v any) error {
	p.left = valueBytesMax
	if err := p.dec.Decode(v); err != nil {
		return p.fail(what, err)
	}
	return nil
}

func (p *reader) delim(want json.Delim) error {
	token, err := p.dec.Token()
	if err == nil && token != want {
		err = fmt.Errorf("%v in place of %v", token, want)
	}
	if err != nil {
		return p.fail("its structure", err)
	}
	return nil
}

// members reads an object, its opening brace included and the closing one not,
// up to the member called last, whose value it leaves.
func (p *reader) members(into any, last string) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	var object bytes.Buffer
	object.WriteByte('{')
	for p.dec.More() {
		token, err := p.dec.Token()
		if err != nil {
			return p.fail("its structure", err)
		}
		name, _ := token.(string)
		if name == last {
			object.WriteByte('}')
			if err := json.Unmarshal(object.Bytes(), into); err != nil {
				return p.fail("a header", err)
			}
			return nil
		}
		var raw json.RawMessage
		if err := p.value(name, &raw); err != nil {
			return err
		}
		if object.Len()+len(raw) > valueBytesMax {
			return damaged("a header has more than %d bytes", valueBytesMax)
		}
		if object.Len() > 1 {
			object.WriteByte(',')
		}
		key, _ := json.Marshal(name)
		object.Write(key)
		object.WriteByte(':')
		object.Write(raw)
	}
	return damaged("it has no %s", last)
}

// begin reads the header.
func (p *reader) begin() error {
	if err := p.members(&p.header, "tables"); err != nil {
		return err
	}
	if p.header.Format != Format {
		return damaged("it has format %d, this skein reads %d", p.header.Format, Format)
	}
	if err := p.header.Version.Compatible(); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}

func (p *reader) object(f func(Header, meta.Image) error) error {
	if err := p.begin(); err != nil {
		return err
	}
	if err := p.delim('['); err != nil {
		return err
	}
	for p.dec.More() {
		if err := p.table(f); err != nil {
			return err
		}
	}
	return p.delim(']')
}

func (p *reader) table(f func(Header, meta.Image) error) error {
	var h tableHeader
	if err := p.members(&h, "files"); err != nil {
		return err
	}
	schemas, err := evolution.Decode(h.Schemas)
	if err == nil {
		err = h.Table.Validate()
	}
	if err != nil {
		return damaged("table %.80q: %v", h.Table.Name, err)
	}
	h.Table.Schemas = schemas
	if err := p.delim('['); err != nil {
		return err
	}
	files := &files{p: p, table: h.Table.Name}
	img := meta.Image{Table: h.Table, Version: h.IndexVersion, Units: h.Units, Open: h.Open, Count: h.Count, Files: files.pages}
	if f != nil {
		if err := f(p.header, img); err != nil {
			return err
		}
	}
	files.pages(func([]meta.File, error) bool { return true }) // what f left
	if files.err != nil {
		return files.err
	}
	if files.n != h.Count {
		return damaged("table %s has %d files, not %d", h.Table.Name, files.n, h.Count)
	}
	p.seen.Tables++
	if err := p.delim(']'); err != nil {
		return err
	}
	return p.rest(nil)
}

// rest reads what follows in an object, up to its end. Members that are not
// known are a later program's, which has added them: they are ignored, here as
// everywhere in a snapshot. What changes the meaning of others raises Format,
// or the catalog's major version.
func (p *reader) rest(known map[string]any) error {
	for p.dec.More() {
		token, err := p.dec.Token()
		if err != nil {
			return p.fail("its structure", err)
		}
		name, _ := token.(string)
		into := known[name]
		if into == nil {
			into = new(json.RawMessage)
		}
		if err := p.value(name, into); err != nil {
			return err
		}
	}
	return p.delim('}')
}

// files reads the files of one table.
type files struct {
	p     *reader
	table string
	n     int64
	err   error
}

func (f *files) pages(yield func([]meta.File, error) bool) {
	for f.err == nil && f.p.dec.More() {
		var page []meta.File
		for len(page) < meta.PageMax && f.p.dec.More() {
			var file meta.File
			if f.err = f.p.value("a file of table "+f.table, &file); f.err != nil {
				yield(nil, f.err)
				return
			}
			page = append(page, file)
			f.n++
			f.p.seen.Files++
			f.p.seen.Rows += file.Rows
			f.p.seen.Bytes += file.Bytes
		}
		if !yield(page, nil) {
			return
		}
	}
}

// finish reads what follows the tables and compares the totals and the checksum.
func (p *reader) finish() (string, error) {
	if err := p.rest(map[string]any{"totals": &p.totals}); err != nil {
		return "", err
	}
	p.left = valueBytesMax
	rest, err := io.ReadAll(io.MultiReader(p.dec.Buffered(), p))
	if err != nil {
		return "", p.fail("its end", err)
	}
	if strings.TrimSpace(string(rest)) != "" {
		return "", damaged("%d bytes follow it", len(rest))
	}
	if p.seen != p.totals {
		return "", damaged("it holds %+v, and says %+v", p.seen, p.totals)
	}
	return p.tail.verify()
}
