package tinyiotest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A kind is a way in which a schedule can deviate from what a loop does by itself.
type kind uint8

const (
	pick    kind = iota // another coroutine than the first in line has its turn
	cancel              // the context of the run is cancelled
	advance             // the clock jumps to the next deadline although there is something to do
	fail                // a thread fails instead of running
)

var kindNames = [...]string{"", "cancel", "advance", "fail"}

// A deviation is one choice of a schedule.
type deviation struct {
	kind   kind
	at     int // the number of a pick among several, of turns taken, or of threads started before; all from 0
	choice int // for a pick, the index of the coroutine in the line, from 1
}

func (d deviation) String() string {
	if d.kind == pick {
		return fmt.Sprintf("%d:%d", d.at, d.choice)
	}
	return fmt.Sprintf("%s:%d", kindNames[d.kind], d.at)
}

// A schedule is all that an exploration decides about one run, in the order in which it happens. The empty one leaves the loop to
// itself: first in, first out, and no faults.
type schedule []deviation

// version begins the text of every schedule. It changes when the same text comes to mean another interleaving.
const version = "a"

// String is the schedule in a form without spaces or anything else that a shell would touch.
func (s schedule) String() string {
	var b strings.Builder
	b.WriteString(version)
	for _, d := range s {
		b.WriteString("," + d.String())
	}
	return b.String()
}

// with returns s and d behind it, as a schedule of its own.
func (s schedule) with(d deviation) schedule {
	return append(append(make(schedule, 0, len(s)+1), s...), d)
}

// hasFault reports whether anything but picks is in s.
func (s schedule) hasFault() bool {
	for _, d := range s {
		if d.kind != pick {
			return true
		}
	}
	return false
}

// parseSchedule reads what String has written.
func parseSchedule(text string) (schedule, error) {
	parts := strings.Split(text, ",")
	if parts[0] != version {
		return nil, fmt.Errorf("tinyiotest: the schedule %q does not begin with %q; it is not one that Explore of this version "+
			"has printed", text, version)
	}
	var s schedule
	last := [len(kindNames)]int{-1, -1, -1, -1}
	for _, part := range parts[1:] {
		d, err := parseDeviation(part)
		if err == nil && d.at <= last[d.kind] {
			err = errors.New("it does not come after the one before")
		}
		if err != nil {
			return nil, fmt.Errorf("tinyiotest: the schedule %q is damaged at %q: %w; copy all of the line that Explore has printed",
				text, part, err)
		}
		last[d.kind] = d.at
		s = append(s, d)
	}
	return s, nil
}

func parseDeviation(text string) (d deviation, err error) {
	left, right, found := strings.Cut(text, ":")
	if !found {
		return d, errors.New("a colon is missing")
	}
	for k := cancel; k <= fail; k++ {
		if left == kindNames[k] {
			d.kind = k
			d.at, err = parseNumber(right)
			return d, err
		}
	}
	if d.at, err = parseNumber(left); err != nil {
		return d, err
	}
	if d.choice, err = parseNumber(right); err == nil && d.choice == 0 {
		err = errors.New("the first in line is no deviation")
	}
	return d, err
}

// parseNumber reads a number as Explore writes it: every schedule has one text.
func parseNumber(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return int(n), nil
}
