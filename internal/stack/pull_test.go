package stack

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// The tests in this file are of Go, not of this package. Each is named after something that the package rests on and that Go does not
// promise: its documentation says neither that it is so nor that it is not. They are for the day on which a new Go makes it
// different. Until then nothing else tells what the reason is if everything hangs.

const needsDirect = "Switches from one coroutine to another rest on that. Build with -tags tinyio_nodirect, which does without."

// stillSo looks whether Go still does what check wants, in a process of its own, for what is different may end the process or never
// return. If it does not, the test fails with the sentence, which says what has changed, and with what depends on it.
func stillSo(t *testing.T, changed, depends string, check func() error) {
	t.Helper()
	const child = "TINYIO_TEST_OF_GO"
	if os.Getenv(child) != "" {
		if err := check(); err != nil {
			t.Error(err)
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=20s")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	if ended := new(exec.ExitError); err != nil && !errors.As(err, &ended) { // no process can be started: wasm, or an emulator
		if err = check(); err != nil {
			out = []byte(err.Error())
		}
	}
	if err != nil {
		t.Errorf("%s: %s\n%s\n\nWhat happened is this:\n%s", runtime.Version(), changed, depends, out)
	}
}

// A pull is an iter.Pull of nothing.
type pull struct {
	next  func() bool
	yield func() bool // set when the iterator has begun
}

func newPull(body func(p *pull)) *pull {
	p := new(pull)
	next, _ := iter.Pull(func(yield func(struct{}) bool) {
		p.yield = func() bool { return yield(struct{}{}) }
		body(p)
	})
	p.next = func() bool { _, more := next(); return more }
	return p
}

// wantLog reports that log is not want.
func wantLog(log []string, want ...string) error {
	if slices.Equal(log, want) {
		return nil
	}
	return fmt.Errorf("what happened: %s; want: %s", strings.Join(log, ", "), strings.Join(want, ", "))
}

// TestGoCallsNextAndYieldAlike: functions whose arguments and results take no room, but for one bool, are called in the same way.
func TestGoCallsNextAndYieldAlike(t *testing.T) {
	stillSo(t, "a value without a size takes room among the arguments or the results of a function.",
		"Every switch rests on that. Give Slot.Switch a call of next and one of yield.", func() error {
			var log []string
			for _, more := range []bool{true, false} {
				next := asCall(func() (struct{}, bool) { return struct{}{}, more })
				yield := asCall(func(struct{}) bool { return more })
				log = append(log, fmt.Sprint(next(), " ", yield()))
			}
			return wantLog(log, "true true", "false false")
		})
}

// TestGoReturnsNothingForAValueWithoutASize: a function whose first result has no size is called like one without that result.
func TestGoReturnsNothingForAValueWithoutASize(t *testing.T) {
	stillSo(t, "a value without a size takes room among the results of a function.",
		"Every coroutine of tinyio.Do rests on that. Let Do call its function in a function literal.", func() error {
			var log []string
			for _, err := range []error{errors.New("an error"), nil} {
				fn := func(n *int) error { *n++; return err }
				n := 1
				_, got := (*(*func(n *int) (struct{}, error))(unsafe.Pointer(&fn)))(&n)
				log = append(log, fmt.Sprint(n, " ", got))
			}
			return wantLog(log, "2 an error", "2 <nil>")
		})
}

// TestGoLetsAnyGoroutineCallYield: the iterator of a is in a call of b's next. So b's goroutine may call a's yield, which resumes who
// called a's next.
func TestGoLetsAnyGoroutineCallYield(t *testing.T) {
	stillSo(t, "the yield of an iter.Pull can no longer be called by a goroutine other than the iterator's own.", needsDirect, func() error {
		var log []string
		var a, b *pull
		b = newPull(func(*pull) {
			log = append(log, "b goes on")
			a.yield()
			log = append(log, "b goes on again")
		})
		a = newPull(func(*pull) {
			log = append(log, "a goes on")
			b.next()
			log = append(log, "a goes on again")
		})
		a.next()
		log = append(log, "main goes on")
		b.yield() // a is parked there
		log = append(log, "main goes on again")
		return wantLog(log, "a goes on", "b goes on", "main goes on", "a goes on again", "b goes on again", "main goes on again")
	})
}

// TestGoResumesWhoIsParkedWhenAnIteratorEnds: whoever called yield last goes on when the goroutine of the iterator ends, as who
// called next does.
func TestGoResumesWhoIsParkedWhenAnIteratorEnds(t *testing.T) {
	stillSo(t, "when the iterator of an iter.Pull ends, the goroutine that is parked in yield no longer goes on.", needsDirect, func() error {
		var log []string
		var a, b *pull
		b = newPull(func(*pull) {
			log = append(log, fmt.Sprint("yield returned ", a.yield()))
		})
		a = newPull(func(*pull) { b.next() })
		log = append(log, fmt.Sprint("next returned ", a.next()))
		log = append(log, fmt.Sprint("yield returned ", b.yield())) // a goes on, and ends; then b does
		return wantLog(log, "next returned true", "yield returned false", "yield returned false")
	})
}

// TestGoLetsADeferredFunctionOfAGoexitSwitch: what a goroutine defers may switch and be resumed, though it is under a Goexit.
func TestGoLetsADeferredFunctionOfAGoexitSwitch(t *testing.T) {
	stillSo(t, "a deferred function that a runtime.Goexit calls can no longer switch to another goroutine and come back.",
		needsDirect+" Clean-up that waits after a t.FailNow rests on it too, and cannot do without.", func() error {
			var log []string
			b := newPull(func(p *pull) {
				log = append(log, "b goes on")
				p.yield()
				log = append(log, "b goes on again")
			})
			a := newPull(func(p *pull) {
				defer func() {
					b.next()
					log = append(log, "a goes on")
					p.yield()
					log = append(log, "a goes on again")
					b.next()
					panic(Exited) // or who called next would exit
				}()
				runtime.Goexit()
			})
			a.next()
			log = append(log, "main goes on")
			func() {
				defer func() {
					if r := recover(); r == Exited {
						log = append(log, "main is told")
					}
				}()
				a.next()
			}()
			return wantLog(log, "b goes on", "a goes on", "main goes on", "a goes on again", "b goes on again", "main is told")
		})
}

// TestGoTellsNobodyInYieldOfAGoexit: a Goexit of an iterator does not go on in a goroutine that is parked in yield.
func TestGoTellsNobodyInYieldOfAGoexit(t *testing.T) {
	stillSo(t, "the end of an iterator by runtime.Goexit is no longer kept from the goroutine that is parked in yield.", needsDirect, func() error {
		var log []string
		var a, b *pull
		b = newPull(func(*pull) {
			defer func() { log = append(log, fmt.Sprint("b ends, panicking with ", recover())) }()
			log = append(log, fmt.Sprint("yield returned ", a.yield()))
		})
		a = newPull(func(*pull) {
			b.next()
			runtime.Goexit()
		})
		a.next()
		log = append(log, fmt.Sprint("yield returned ", b.yield()))
		return wantLog(log, "yield returned false", "b ends, panicking with <nil>", "yield returned false")
	})
}

// TestGoLetsAPanicReplaceAGoexit: a goroutine under a Goexit that panics in a deferred function ends like one that panics. Then
// next panics, which can be recovered from, and does not exit.
func TestGoLetsAPanicReplaceAGoexit(t *testing.T) {
	stillSo(t, "a panic in a deferred function that a runtime.Goexit of an iterator calls no longer comes out of next.",
		"A Goexit in a clock, an observer or a picker ends the goroutine of the loop then; and, with -tags tinyio_nodirect, every Goexit.",
		func() error {
			a := newPull(func(*pull) {
				defer func() { panic(Exited) }()
				runtime.Goexit()
			})
			returned, p := false, any(nil)
			func() {
				defer func() { p = recover() }()
				a.next()
				returned = true
			}()
			if returned || p != Exited {
				return fmt.Errorf("next returned: %v, and panicked with %v; want it to panic with %v", returned, p, Exited)
			}
			return nil
		})
}

// TestGoKeepsTheRecordOfAGoroutineInItsPlace: the address of the runtime's record of a goroutine stays the same for as long as the
// goroutine lives, also when its stack moves and when others resume it, and no other living goroutine has the same.
func TestGoKeepsTheRecordOfAGoroutineInItsPlace(t *testing.T) {
	if ID() == 0 {
		t.Skip("goroutines cannot be told apart on this architecture")
	}
	stillSo(t, "the address of a goroutine's record no longer tells it from others.",
		"That the handle of a coroutine is used by its own goroutine is checked with it. Make ID return 0, which switches that check off.",
		func() error {
			const n = 100
			var grow func(depth int) uintptr
			grow = func(depth int) uintptr {
				var frame [1 << 10]byte
				frame[depth] = 1
				if depth == 0 {
					return ID()
				}
				return grow(depth-1) + uintptr(frame[depth]-1)
			}
			seen := map[uintptr]bool{ID(): true}
			var all []*pull
			var wrong error
			for range n {
				p := newPull(func(p *pull) {
					id := ID()
					if seen[id] || id == 0 {
						wrong = fmt.Errorf("two goroutines have the ID %x", id)
					}
					seen[id] = true
					p.yield()
					if now := grow(100); now != id {
						wrong = fmt.Errorf("the ID of a goroutine was %x and is %x", id, now)
					}
				})
				p.next()
				all = append(all, p)
			}
			runtime.GC() // which shrinks stacks
			ended := make(chan bool)
			go func() {
				defer close(ended)
				for _, p := range all {
					p.next() // from another goroutine, perhaps on another thread
				}
			}()
			<-ended
			return wrong
		})
}
