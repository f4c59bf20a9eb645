package stack

import (
	"runtime"
	"slices"
	"testing"
)

// A script is a task that calls a function and then goes on with another.
type script struct {
	run  func(s *Stack)
	next Task
	keep bool
}

func (t *script) Run(s *Stack) (Task, bool) {
	t.run(s)
	return t.next, t.keep
}

func TestSuspendAndResume(t *testing.T) {
	var log []string
	s := New()
	var w Switch
	s.Start(&script{keep: true, run: func(s *Stack) {
		w = s.Switch()
		log = append(log, "one")
		w.Suspend()
		log = append(log, "two")
	}})
	log = append(log, "between")
	w.Resume()
	s.Start(&script{keep: false, run: func(*Stack) { log = append(log, "three") }})
	if want := []string{"one", "between", "two", "three"}; !slices.Equal(log, want) {
		t.Errorf("got %v, want %v", log, want)
	}
}

// TestTasksFollowEachOther runs several tasks without leaving the stack.
func TestTasksFollowEachOther(t *testing.T) {
	n := 0
	count := func(*Stack) { n++ }
	s := New()
	s.Start(&script{run: count, next: &script{run: count, next: &script{run: count, keep: true}}})
	if n != 3 {
		t.Errorf("%d tasks ran, want 3", n)
	}
	s.Stop()
}

// TestExitIsToldToTheResumer wants a Goexit in a task to end its stack and nothing else.
func TestExitIsToldToTheResumer(t *testing.T) {
	cleaned := false
	defer func() {
		if p := recover(); p != Exited {
			t.Errorf("Start panicked with %v, want Exited", p)
		}
		if !cleaned {
			t.Error("the deferred function of the task did not run")
		}
	}()
	New().Start(&script{run: func(*Stack) {
		defer func() { cleaned = true }()
		runtime.Goexit()
	}})
	t.Error("Start returned")
}

// TestIDsDiffer wants different goroutines to have different IDs and one to keep its own.
func TestIDsDiffer(t *testing.T) {
	if ID() == 0 {
		t.Skip("goroutines cannot be told apart on this architecture")
	}
	a, b := New(), New()
	ids := func(s *Stack) (first, second uintptr) {
		var w Switch
		s.Start(&script{keep: true, run: func(s *Stack) {
			w, first = s.Switch(), ID()
			w.Suspend()
			var grow [1 << 16]byte // moves the stack
			grow[ID()%7] = 1
			second = ID() + uintptr(grow[8])
		}})
		w.Resume()
		return first, second
	}
	a1, a2 := ids(a)
	b1, b2 := ids(b)
	if a1 != a2 || b1 != b2 || a1 == b1 || a1 == ID() || a1 != a.ID() {
		t.Errorf("got %x %x and %x %x on %x", a1, a2, b1, b2, ID())
	}
	a.Stop()
	b.Stop()
}
