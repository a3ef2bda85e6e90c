package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
)

// Layout of a segment, little endian:
//
//	header  magic 8 | salt 8 | sequence 8 | length of the segment before 8 | CRC-32C 4
//	frame   body length 4 | records 4 | CRC-32C of salt, offset, length, records 4 | CRC-32C of salt, body 4 | body
//	body    of each record: length 4 | bytes
//
// The random salt makes sure that nothing that a client writes looks like a
// frame.
const (
	magic       = "SKEINWL1"
	headerBytes = 8 + 8 + 8 + 8 + 4
	frameBytes  = 4 + 4 + 4 + 4
	lengthBytes = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header starts a segment.
type header struct {
	salt    uint64
	seq     uint64
	prevLen int64 // bytes of the segment before that hold acknowledged records
}

func newHeader(seq uint64, prevLen int64) header {
	return header{salt: rand.Uint64(), seq: seq, prevLen: prevLen}
}

func (h header) encode() []byte {
	b := make([]byte, 0, headerBytes)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint64(b, h.salt)
	b = binary.LittleEndian.AppendUint64(b, h.seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.prevLen))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeHeader(b []byte) (h header, ok bool) {
	if len(b) < headerBytes || string(b[:8]) != magic {
		return header{}, false
	}
	if binary.LittleEndian.Uint32(b[32:]) != crc32.Checksum(b[:32], castagnoli) {
		return header{}, false
	}
	h.salt = binary.LittleEndian.Uint64(b[8:])
	h.seq = binary.LittleEndian.Uint64(b[16:])
	h.prevLen = int64(binary.LittleEndian.Uint64(b[24:]))
	return h, true
}

// appendFrame encodes records as the frame that will lie at offset.
func (h header) appendFrame(b []byte, offset int64, records [][]byte) []byte {
	start := len(b)
	b = append(b, make([]byte, frameBytes)...)
	for _, r := range records {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(r)))
		b = append(b, r...)
	}
	head, body := b[start:start+frameBytes], b[start+frameBytes:]
	binary.LittleEndian.PutUint32(head, uint32(len(body)))
	binary.LittleEndian.PutUint32(head[4:], uint32(len(records)))
	binary.LittleEndian.PutUint32(head[8:], h.headSum(offset, head[:8]))
	binary.LittleEndian.PutUint32(head[12:], h.bodySum(body))
	return b
}

func (h header) headSum(offset int64, head []byte) uint32 {
	var seed [24]byte
	binary.LittleEndian.PutUint64(seed[:], h.salt)
	binary.LittleEndian.PutUint64(seed[8:], uint64(offset))
	copy(seed[16:], head)
	return crc32.Checksum(seed[:], castagnoli)
}

func (h header) bodySum(body []byte) uint32 {
	var seed [8]byte
	binary.LittleEndian.PutUint64(seed[:], h.salt)
	return crc32.Update(crc32.Checksum(seed[:], castagnoli), castagnoli, body)
}

// frame returns the body and the number of records of the frame at offset of
// data, a whole segment.
func (h header) frame(data []byte, offset int64) (body []byte, records int, ok bool) {
	if int64(len(data))-offset < frameBytes {
		return nil, 0, false
	}
	head := data[offset : offset+frameBytes]
	length := int64(binary.LittleEndian.Uint32(head))
	if length > int64(len(data))-offset-frameBytes {
		return nil, 0, false
	}
	if binary.LittleEndian.Uint32(head[8:]) != h.headSum(offset, head[:8]) {
		return nil, 0, false
	}
	body = data[offset+frameBytes : offset+frameBytes+length]
	if binary.LittleEndian.Uint32(head[12:]) != h.bodySum(body) {
		return nil, 0, false
	}
	return body, int(binary.LittleEndian.Uint32(head[4:])), true
}

// frames calls each with every record of data up to where the first frame is
// not whole, and returns that offset.
func (h header) frames(data []byte, each func(record []byte) error) (end int64, err error) {
	end = headerBytes
	for {
		body, records, ok := h.frame(data, end)
		if !ok {
			return end, nil
		}
		end += frameBytes + int64(len(body))
		for range records {
			n := binary.LittleEndian.Uint32(body)
			record := body[lengthBytes : lengthBytes+n : lengthBytes+n]
			body = body[lengthBytes+n:]
			if each == nil {
				continue
			}
			if err := each(record); err != nil {
				return end, err
			}
		}
	}
}

// frameAfter tells whether a whole frame lies anywhere after offset.
func (h header) frameAfter(data []byte, offset int64) bool {
	for o := offset + 1; o <= int64(len(data))-frameBytes; o++ {
		if _, _, ok := h.frame(data, o); ok {
			return true
		}
	}
	return false
}

const suffix = ".log"

func segmentName(seq uint64) string { return fmt.Sprintf("%016d%s", seq, suffix) }

func segmentSeq(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(filepath.Base(name), suffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits, 10, 64)
	return seq, err == nil && seq > 0
}
