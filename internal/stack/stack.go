// Package stack gives a function a stack of its own that can be left and entered again.
//
// It is the only code of the module that knows how a coroutine is made: by [iter.Pull], whose next and yield switch
// between two goroutines without the scheduler in between. Such a switch costs about a tenth of a channel operation.
package stack

import "iter"

// A Task is what runs on a stack. Run may call [Stack.Suspend]; it must not panic.
type Task interface{ Run() }

// A Stack runs tasks, one after another. Making one costs as much as starting a goroutine, so a stack whose task has
// finished is worth keeping for the next one. Only one goroutine at a time may call [Stack.Start], [Stack.Resume] and
// [Stack.Stop]; Suspend is for the task.
type Stack struct {
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	task  Task
	id    uintptr
}

// New returns a stack that runs nothing yet.
func New() *Stack {
	s := new(Stack)
	s.next, s.stop = iter.Pull(s.run)
	return s
}

// Start runs t on s until it suspends or finishes. It reports whether the stack can be used again: a task that ended
// in [runtime.Goexit] has taken its stack with it.
func (s *Stack) Start(t Task) (usable bool) {
	s.task = t
	return s.Resume()
}

// Resume goes on with the task of s from where it suspended, until it suspends again or finishes. The result is that
// of [Stack.Start].
func (s *Stack) Resume() (usable bool) {
	// A Goexit in the task would go on in the caller: iter.Pull sees to that. Run turns it into this panic instead.
	// The deferred call is cheap because it is a plain one that looks at a flag.
	defer func() {
		if !usable {
			if p := recover(); p != exited {
				panic(p)
			}
		}
	}()
	s.next()
	return true
}

// Suspend leaves the stack: the call to Start or Resume that is under way returns. It returns when the stack is
// resumed.
func (s *Stack) Suspend() {
	if !s.yield(struct{}{}) {
		panic("tinyio: internal error: a stack was stopped with a task on it; please report this")
	}
}

// Stop ends a stack whose task has finished, and its goroutine.
func (s *Stack) Stop() { s.stop() }

// ID tells the goroutine of s from every other one that is alive. It is known once a task has started.
func (s *Stack) ID() uintptr { return s.id }

func (s *Stack) run(yield func(struct{}) bool) {
	finished := false
	defer func() {
		if !finished {
			panic(exited)
		}
	}()
	s.yield, s.id = yield, ID()
	for {
		s.task.Run()
		s.task = nil
		if !yield(struct{}{}) {
			finished = true
			return
		}
	}
}

// exited is what a stack panics with when its task has called runtime.Goexit.
var exited any = new(int)
