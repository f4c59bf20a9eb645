// Package stack gives a function a stack of its own that can be left and entered again.
//
// It is the only code of the module that knows how a coroutine is made: by [iter.Pull], whose next and yield switch
// between two goroutines without the scheduler in between. Such a switch costs about a quarter of a channel operation.
package stack

import "iter"

// A Task is what runs on a stack.
type Task interface {
	// Run runs the task on s. It may suspend, and must not panic. Then it says what to run next on the same stack; if that is
	// nil, the stack is left, and if it is not to be kept either, its goroutine ends.
	Run(s *Stack) (next Task, keep bool)
}

// A Stack runs tasks, one after another. Making one costs as much as starting a goroutine, so a stack whose task has
// finished is worth keeping for the next one.
type Stack struct {
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	task  Task
	id    uintptr
}

// A Switch is the two ways across: into a stack and out of it. It is for the task to keep, close to what it needs at the
// same time.
type Switch struct {
	next  func() (struct{}, bool)
	yield func(struct{}) bool
}

// New returns a stack that runs nothing yet.
func New() *Stack {
	s := new(Stack)
	s.next, s.stop = iter.Pull(s.run)
	return s
}

// Start runs t on s, which is idle, until it suspends or no task is left. It panics with [Exited] if a task calls
// [runtime.Goexit], which takes the stack with it.
func (s *Stack) Start(t Task) {
	s.task = t
	s.next()
}

// Stop ends an idle stack and its goroutine.
func (s *Stack) Stop() { s.stop() }

// ID tells the goroutine of s from every other one that is alive.
func (s *Stack) ID() uintptr { return s.id }

// Switch returns the ways into and out of s, for a task that runs on it.
func (s *Stack) Switch() Switch { return Switch{s.next, s.yield} }

// Resume goes on with a task from where it suspended. It returns and panics as [Stack.Start] does.
func (w *Switch) Resume() { w.next() }

// Suspend leaves the stack: the Start or Resume that is under way returns. It returns when the task is resumed.
func (w *Switch) Suspend() { w.yield(struct{}{}) }

// Valid reports whether w leads anywhere.
func (w *Switch) Valid() bool { return w.next != nil }

func (s *Stack) run(yield func(struct{}) bool) {
	// A Goexit would go on in the caller of next: iter.Pull sees to that. A panic can be stopped there.
	defer func() {
		if s.task != nil {
			panic(Exited)
		}
	}()
	s.yield, s.id = yield, ID()
	for {
		next, keep := s.task.Run(s)
		s.task = next
		if next == nil && (!keep || !yield(struct{}{})) {
			return
		}
	}
}

// Exited is what a stack panics with when its task has called runtime.Goexit.
var Exited any = new(int)
