package durable

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Export writes the history of a run, a record in a line, as JSON: to look into it, or for [Verify]. Of a run that has ended, compaction may
// have left only the beginning and the end.
func (j *Journal) Export(ctx context.Context, id string, w io.Writer) error {
	e, err := j.findRecorded(ctx, id)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := j.scan(func(f frame) {
		if f.run == e.number {
			out.Write(f.payload)
			out.WriteByte('\n')
		}
	}); err != nil {
		return fmt.Errorf("durable: Export: %w", err)
	}
	_, err = out.WriteTo(w)
	return err
}

// errVerified ends a verification in the middle of a run.
var errVerified = errors.New("durable: the program has done everything that was recorded")

// Verify replays the history of a run, as [Journal.Export] has written it, with the program that is registered now, and no step is run. It
// returns a [*NondeterminismError] if the program does not do what it did: a test with the histories of real runs tells whether a
// change can be put under those that are under way.
func Verify(history io.Reader) error {
	e := newEntry(&Journal{closing: make(chan struct{}), options: options{base: context.Background()}}, 0)
	lines := bufio.NewScanner(history)
	lines.Buffer(nil, maxPayload)
	var end *record
	for lines.Scan() {
		r := new(record)
		if err := json.Unmarshal(lines.Bytes(), r); err != nil {
			return fmt.Errorf("durable: Verify: this is not the history of a run: %w", err)
		}
		if r.Kind == kindEnd {
			end = r
			continue
		}
		e.read(r)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("durable: Verify: %w", err)
	}
	if !e.complete {
		return errors.New("durable: Verify: this is not the history of a run: it has no start")
	}
	if end != nil && len(e.history) == 0 && len(e.input) == 0 {
		return errors.New("durable: Verify: there is nothing between the beginning and the end; the run was compacted")
	}
	p, err := Lookup(e.program)
	if err != nil {
		return err
	}
	m := newMachine(e, p)
	m.verifying = true
	if end != nil {
		m.until = time.Unix(0, end.At)
	}
	m.run()
	m.LetGo()
	if end == nil {
		if m.Halted() == errVerified {
			return nil
		}
		return m.Halted()
	}
	return m.compare(end)
}

// compare checks that the program has ended as it did.
func (m *machine) compare(end *record) error {
	err := &NondeterminismError{Run: m.e.id, Step: m.taken, Name: "the end", Expected: end.outcome()}
	switch now := m.endRecord(); {
	case m.Halted() == errVerified:
		err.Found = "a program that has not ended"
	case m.Halted() != nil:
		return m.Halted()
	case now.State == end.State && slices.Equal(now.Value, end.Value) && now.Err.text() == end.Err.text():
		return nil
	default:
		err.Found = now.outcome()
	}
	return err
}

// outcome describes the end of a run.
func (r *record) outcome() string {
	if r.State == Succeeded {
		return fmt.Sprintf("%s: %s", r.State, r.Value)
	}
	return fmt.Sprintf("%s: %s", r.State, r.Err.text())
}

// text is the text of the error that was recorded.
func (f *failure) text() string {
	if f == nil {
		return ""
	}
	return f.decode(nil).Error()
}
