package durable

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
)

// A journal is a directory of segments, files to which records are only ever appended. A segment is
//
//	magic, 8 bytes
//	frames
//
// and a frame, with all numbers little-endian,
//
//	length of the payload  4 bytes
//	number of the run      8 bytes
//	number of the record   4 bytes, within its run, from 0
//	CRC-32C                4 bytes, of the 16 bytes before and the payload
//	payload                JSON, a record
//	number of the run      8 bytes
//	number of the record   4 bytes
//
// The numbers stand on both sides of the payload so that a damaged frame still tells whose it was, and a run from which a record is
// missing is known by its gap. Run 0 is the journal itself: it marks the beginning of each batch that was written at once, and that
// the journal was closed. In the last batch of a journal that was not closed, which may not have reached the disk as a whole,
// everything from the first bad frame on has been acknowledged to nobody, and is cut off.

const (
	magic      = "tinyioJ1"
	headerSize = 20
	footerSize = 12
	maxPayload = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A kind is what a record is about.
type kind string

const (
	kindStart   kind = "start"   // the first of a run
	kindStep    kind = "step"    // a function has returned
	kindAttempt kind = "attempt" // a function has returned an error, and is called again
	kindSignal  kind = "signal"  // a value has been sent
	kindCancel  kind = "cancel"  // somebody wants the run to stop
	kindTick    kind = "tick"    // time has passed in a program that was busy
	kindVersion kind = "version" // the program has asked for the version of a change
	kindEnd     kind = "end"     // the program has ended
	kindForget  kind = "forget"  // the run is not wanted any more

	kindBatch kind = "batch" // of the journal: what follows was written at once
	kindClose kind = "close" // of the journal: everything before is on the disk
)

// A record is one thing that came from outside, or the beginning or the end of a run.
type record struct {
	Kind    kind            `json:"k"`
	At      int64           `json:"t,omitempty"`     // nanoseconds since 1970
	Ahead   bool            `json:"ahead,omitempty"` // the program had not heard of what is recorded before it when it was
	Step    int             `json:"s,omitempty"`     // its number, from 1
	Name    string          `json:"n,omitempty"`     // of a step, a signal or a change
	Value   json.RawMessage `json:"v,omitempty"`     // or the input of a run
	Err     *failure        `json:"e,omitempty"`
	Attempt int             `json:"attempt,omitempty"` // its number, from 1
	Version int             `json:"version,omitempty"`
	ID      string          `json:"id,omitempty"`      // of a run
	Program string          `json:"program,omitempty"` // of a run
	Seed    []byte          `json:"seed,omitempty"`    // of a run
	State   State           `json:"state,omitempty"`   // of the end of a run
}

// appendFrame appends a record to b.
func appendFrame(b []byte, run uint64, number uint32, r *record) ([]byte, error) {
	payload, err := json.Marshal(r)
	if err != nil {
		return b, fmt.Errorf("durable: cannot record: %w", err)
	}
	if len(payload) > maxPayload {
		return b, fmt.Errorf("durable: cannot record: the %s is larger than %d bytes", r.Kind, maxPayload)
	}
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint64(b, run)
	b = binary.LittleEndian.AppendUint32(b, number)
	sum := crc32.Update(crc32.Checksum(b[at:], castagnoli), castagnoli, payload)
	b = binary.LittleEndian.AppendUint32(b, sum)
	b = append(b, payload...)
	b = binary.LittleEndian.AppendUint64(b, run)
	return binary.LittleEndian.AppendUint32(b, number), nil
}

// A frame is one that has been read.
type frame struct {
	run     uint64
	number  uint32
	payload []byte
	raw     []byte
}

// parseFrame reads the frame at the beginning of b.
func parseFrame(b []byte) (f frame, ok bool) {
	if len(b) < headerSize+2+footerSize {
		return f, false
	}
	length := int64(binary.LittleEndian.Uint32(b))
	total := headerSize + length + footerSize
	if length < 2 || length > maxPayload || total > int64(len(b)) || b[headerSize] != '{' {
		return f, false
	}
	payload := b[headerSize : headerSize+length]
	if crc32.Update(crc32.Checksum(b[:16], castagnoli), castagnoli, payload) != binary.LittleEndian.Uint32(b[16:]) {
		return f, false
	}
	return frame{binary.LittleEndian.Uint64(b[4:]), binary.LittleEndian.Uint32(b[12:]), payload, b[:total]}, true
}

// A hole is a part of a segment that cannot be read.
type hole struct {
	offset, length int64
	run            uint64 // whose record was there, if known is true
	number         uint32
	known          bool
}

// scanSegment calls visit for each frame of a segment, and miss for what cannot be read, in order. If it is the last one of the journal, end
// is where the torn tail begins that is to be cut off, or its length.
func scanSegment(data []byte, last bool, visit func(at int64, f frame), miss func(hole)) (end int64) {
	at := len(magic)
	if len(data) < at || string(data[:at]) != magic {
		if last && len(data) < at {
			return 0
		}
		if at = nextFrame(data, 0); at < 0 {
			at = len(data)
		}
		miss(hole{offset: 0, length: int64(at)})
	}
	for at < len(data) {
		f, ok := parseFrame(data[at:])
		if ok {
			visit(int64(at), f)
			at += len(f.raw)
			continue
		}
		next := nextFrame(data, at+1)
		if last && !acknowledged(data, next) {
			return int64(at)
		}
		if next < 0 {
			next = len(data)
		}
		miss(holeIn(data, at, next))
		at = next
	}
	return int64(at)
}

// nextFrame returns where the next good frame begins, -1 if there is none.
func nextFrame(data []byte, at int) int {
	for ; at+headerSize+2+footerSize <= len(data); at++ {
		if data[at+headerSize] != '{' {
			continue
		}
		if _, ok := parseFrame(data[at:]); ok {
			return at
		}
	}
	return -1
}

// acknowledged reports that what is before at, a frame or -1, has reached the disk: another batch was written after it.
func acknowledged(data []byte, at int) bool {
	for at >= 0 && at < len(data) {
		f, ok := parseFrame(data[at:])
		switch {
		case !ok:
			at = nextFrame(data, at+1)
			continue
		case f.run == 0:
			return true
		}
		at += len(f.raw)
	}
	return false
}

// holeIn describes the hole from at to next. Whose record was there is certain if both sides of the frame say so.
func holeIn(data []byte, at, next int) hole {
	h := hole{offset: int64(at), length: int64(next - at)}
	if next-at < headerSize+footerSize {
		return h
	}
	foot := data[next-footerSize : next]
	run, number := binary.LittleEndian.Uint64(foot), binary.LittleEndian.Uint32(foot[8:])
	if int(binary.LittleEndian.Uint32(data[at:]))+headerSize+footerSize == next-at ||
		run == binary.LittleEndian.Uint64(data[at+4:]) && number == binary.LittleEndian.Uint32(data[at+12:]) {
		h.run, h.number, h.known = run, number, true
	}
	return h
}
