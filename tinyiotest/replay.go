package tinyiotest

import (
	"testing"
	"testing/synctest"

	"github.com/tinyio-go/tinyio"
)

// Replay runs fn once under a schedule that [Explore] has printed, in the same way, and fails t, by Fatal, if fn fails, if the
// schedule is damaged, or if it does not fit the program, which then has changed since. A test with a Replay keeps a bug from
// coming back as long as the program is much the same; one with an Explore does so afterwards too.
func Replay(t testing.TB, schedule string, fn func(co *tinyio.Co) error) {
	t.Helper()
	replay(newProgram("Replay", t, fn), schedule)
}

func replay(p *program, text string) {
	p.t.Helper()
	s, err := parseSchedule(text)
	if err != nil {
		p.t.Fatal(err)
	}
	log := &timeline{places: true}
	switch r := p.follow(s, log); {
	case r.failure != nil && r.failure.flaw == skips:
		p.t.SkipNow()
	case r.failure != nil:
		p.t.Fatalf("tinyiotest: %s", r.describe(log))
	case r.misfit != nil:
		p.t.Fatalf("tinyiotest: the schedule %s does not fit the program, which has changed since it was found: %v; explore again", s,
			r.misfit)
	default:
		p.t.Logf("tinyiotest: nothing fails under schedule %s\n\n%s", s, log)
	}
}

// bubbled reports whether this is in a bubble of testing/synctest.
func bubbled() (in bool) {
	defer func() { recover() }()
	synctest.Wait()
	return true
}
