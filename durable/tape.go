package durable

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/internal/gate"
)

// A tape is what came to a run from outside, a line of JSON for each thing, in the order in which the run heard of it.
//
// What came has its place in the run. Before each turn there is a pass, in which things enter. When nobody is ready, there is another pass for the same
// turn whenever something has come or time has passed, and so there may be when all have finished. A pass in which nothing enters and after
// which the same coroutine is next is no matter of a replay, and is not counted. In a turn, and where things enter, a coroutine reads what
// others may have changed; these reads are numbered.
//
// The invariants:
//
//  1. The run hears of nothing from outside that is not on the tape before.
//  2. A replay that has come to a place has been given what is on the tape for all places before, and nothing else.
//  3. So it does the same between two places: it comes to the next one with the same coroutines ready, in the same order, and the same time.
//
// The first line is about the run as a whole. The last one says that it has ended; if there is none, the process has ended before.

// An event is a line of a tape.
type event struct {
	Turn uint64 `json:"turn"`           // how many turns had begun
	Pass int    `json:"pass,omitempty"` // the number of the pass for this turn, from 0
	Read uint64 `json:"read,omitempty"` // of what was read: the number of the read, from 1
	At   int64  `json:"t,omitempty"`    // the time, if it has changed, in nanoseconds since 1970

	Kind     eventKind       `json:"is,omitempty"`
	Coro     tinyio.ID       `json:"coro,omitempty"`     // the coroutine of a thread, the submission of a withdrawal
	Name     string          `json:"name,omitempty"`     // of the thread, or of the endpoint
	Number   uint32          `json:"n,omitempty"`        // of the Event
	Value    json.RawMessage `json:"v,omitempty"`        // of a thread or a read; the input of a submission
	Err      *failure        `json:"e,omitempty"`        // of a thread; the cause of an end
	How      gate.How        `json:"how,omitempty"`      // how a thread has ended
	Starter  tinyio.ID       `json:"shield,omitempty"`   // 1 more than the coroutine whose shielded thread has submitted it
	Deadline int64           `json:"deadline,omitempty"` // of the run's context, or of a submission's
	UTC      bool            `json:"utc,omitempty"`      // of the run: its clock tells the time in UTC
	Format   int             `json:"tape,omitempty"`     // of the run
}

// appendTo appends the line of e to b, without its end. It writes what json.Marshal would, but for that it does not look through the Value once
// more; what is rare it leaves to that.
func (e *event) appendTo(b []byte) ([]byte, error) {
	if e.Err != nil || e.Format > 0 || !isPlain(e.Name) {
		line, err := json.Marshal(e)
		return append(b, line...), err
	}
	number := func(name string, n int64) {
		if n != 0 {
			b = append(append(append(b, `,"`...), name...), `":`...)
			b = strconv.AppendInt(b, n, 10)
		}
	}
	text := func(name, s string) {
		if s != "" {
			b = append(append(append(b, `,"`...), name...), `":"`...)
			b = append(append(b, s...), '"')
		}
	}
	b = strconv.AppendUint(append(b, `{"turn":`...), e.Turn, 10)
	number("pass", int64(e.Pass))
	number("read", int64(e.Read))
	number("t", e.At)
	text("is", string(e.Kind))
	number("coro", int64(e.Coro))
	text("name", e.Name)
	number("n", int64(e.Number))
	if e.Value != nil {
		b = append(append(b, `,"v":`...), e.Value...)
	}
	number("how", int64(e.How))
	number("shield", int64(e.Starter))
	number("deadline", e.Deadline)
	return append(b, '}'), nil
}

// isPlain reports whether s is JSON as it is, in quotes.
func isPlain(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// tapeFormat is the Format of the first line.
const tapeFormat = 1

// An eventKind says what an event is.
type eventKind string

const (
	timePassed  eventKind = ""          // and nothing else has happened
	cameBack    eventKind = "returned"  // a thread, a call or a callback
	submitted   eventKind = "submitted" // something, through an Endpoint
	posted      eventKind = "posted"    // the same without anybody waiting for it
	withdrawn   eventKind = "withdrawn" // the context of a submission is done
	eventSet    eventKind = "set"       // an Event, by another goroutine
	interrupted eventKind = "interrupted"
	readValue   eventKind = "read"       // what others have changed
	readDone    eventKind = "done"       // the context of the run is, and a coroutine has found that out before the run
	startBroke  eventKind = "broke"      // the start function of a callback has not returned
	deadlocked  eventKind = "deadlocked" // the clock has said that nothing can happen any more
	notKept     eventKind = "not kept"   // what has come then could not be recorded, and the run has failed because of that
	ended       eventKind = "ended"
)

// String says what e is, for errors.
func (e *event) String() string {
	at := fmt.Sprintf("at turn %d", e.Turn)
	switch e.Kind {
	case cameBack:
		return fmt.Sprintf("the end of thread %d, %q, %s", e.Coro, e.Name, at)
	case submitted, posted:
		return fmt.Sprintf("what comes through the endpoint %q %s", e.Name, at)
	case withdrawn:
		return fmt.Sprintf("the end of the context of submission %d %s", e.Coro, at)
	case eventSet:
		return fmt.Sprintf("that event %d is set %s", e.Number, at)
	case interrupted, readDone:
		return "the end of the context " + at
	case readValue:
		return "a value that others have changed " + at
	case startBroke:
		return "the failure of a FromCallback " + at
	case deadlocked:
		return "a deadlock " + at
	case ended:
		return "the end of the program " + at
	}
	return "a pause " + at
}

// readTape reads the events of a file. The last one may not be there as a whole.
func readTape(file string) (events []*event, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("durable: Replay: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data[:bytes.LastIndexByte(data, '\n')+1]))
	lines.Buffer(nil, len(data)+1)
	for lines.Scan() {
		e := new(event)
		if err := json.Unmarshal(lines.Bytes(), e); err != nil {
			return nil, fmt.Errorf("durable: Replay: %s is not what Record has written: line %d: %w", file, len(events)+1, err)
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		return nil, fmt.Errorf("durable: Replay: %s is not what Record has written: it is empty", file)
	}
	if events[0].Format != tapeFormat {
		return nil, fmt.Errorf("durable: Replay: %s is not what this version of Record writes", file)
	}
	return events, nil
}
