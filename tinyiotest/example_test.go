package tinyiotest_test

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"testing"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyiotest"
)

// A pool lends connections.
type pool struct {
	free     []string
	returned tinyio.Event // set when one has been given back
}

// get waits until a connection is free.
func (p *pool) get(co *tinyio.Co) (string, error) {
	if len(p.free) == 0 {
		p.returned.Clear()
		if err := p.returned.Wait(co); err != nil {
			return "", err
		}
	}
	return p.take()
}

func (p *pool) take() (string, error) {
	if len(p.free) == 0 {
		return "", errors.New("pool: nothing to take")
	}
	connection := p.free[0]
	p.free = p.free[1:]
	return connection, nil
}

func (p *pool) put(connection string) {
	p.free = append(p.free, connection)
	p.returned.Set()
}

// query uses a connection.
func (p *pool) query(co *tinyio.Co) error {
	connection, err := p.get(co)
	if err != nil {
		return err
	}
	if err := co.Yield(); err != nil { // stands for the time that the query takes
		return err
	}
	p.put(connection)
	return nil
}

// check is for the end: the connection must be back.
func (p *pool) check() error {
	if len(p.free) != 1 {
		return errors.New("the connection is lost")
	}
	return nil
}

// client makes two queries, and something else in between.
func client(name string, query func(co *tinyio.Co) error) tinyio.Awaitable {
	return tinyio.Do(func(co *tinyio.Co) error {
		if err := query(co); err != nil {
			return err
		}
		if err := co.Yield(); err != nil {
			return err
		}
		return query(co)
	}).Named(name)
}

// twoClients share a connection.
func twoClients(co *tinyio.Co) error {
	p := &pool{free: []string{"connection 1"}}
	return co.Wait(client("a", p.query), client("b", p.query))
}

// TestTwoClients says nothing of the bug: the order in which the loop takes them is one in which it does not show.
func TestTwoClients(t *testing.T) {
	if _, err := tinyio.Run(t.Context(), tinyio.Do(twoClients), tinyio.WithVirtualTime()); err != nil {
		t.Fatal(err)
	}
}

// A patientPool has the bug fixed.
type patientPool struct{ pool }

func (p *patientPool) get(co *tinyio.Co) (string, error) {
	for len(p.free) == 0 { // and again, if somebody else was faster
		p.returned.Clear()
		if err := p.returned.Wait(co); err != nil {
			return "", err
		}
	}
	return p.take()
}

// query uses a connection, and loses it when it is cancelled.
func (p *patientPool) query(co *tinyio.Co) error {
	connection, err := p.get(co)
	if err != nil {
		return err
	}
	if err := co.Yield(); err != nil {
		return err
	}
	p.put(connection)
	return nil
}

// patientClients share a connection that must be back in the end.
func patientClients(co *tinyio.Co) error {
	p := &patientPool{pool{free: []string{"connection 1"}}}
	tinyiotest.AtEnd(co, p.check)
	return co.Wait(client("a", p.query), client("b", p.query))
}

// A carefulPool has its connections back whatever happens.
type carefulPool struct{ patientPool }

func (p *carefulPool) query(co *tinyio.Co) error {
	connection, err := p.get(co)
	if err != nil {
		return err
	}
	defer p.put(connection)
	return co.Yield()
}

func carefulClients(co *tinyio.Co) error {
	p := &carefulPool{patientPool{pool{free: []string{"connection 1"}}}}
	tinyiotest.AtEnd(co, p.check)
	return co.Wait(client("a", p.query), client("b", p.query))
}

func ExampleExplore() {
	test("TestTwoClients", func(t testing.TB) {
		tinyiotest.Explore(t, twoClients)
	})
	// Output:
	// tinyiotest: after 4 schedules: it returns an error under schedule a,2:1
	//
	//   turn      time  who           what happens
	//      1        0s  twoClients#0  starts a#1, b#2; waits for a coroutine (a#1, b#2) at example_test.go:82
	//      2            a#1           waits for its turn at example_test.go:51
	//      3            b#2           waits for an event at example_test.go:24
	//      4            a#1           wakes b#2; waits for its turn at example_test.go:72
	//      5            a#1           goes before b#2; waits for its turn at example_test.go:51
	//      6            b#2           ends with an error; stops twoClients#0, a#1: pool: nothing to take
	//      7            a#1           ends, cancelled; wakes twoClients#0
	//      8            twoClients#0  ends, cancelled
	//
	// pool: nothing to take
	//
	// await chain, from the first coroutine to the one that failed:
	// github.com/tinyio-go/tinyio/tinyiotest_test.twoClients
	// 	example_test.go:82
	// b, in github.com/tinyio-go/tinyio/tinyiotest_test.client.func1
	// 	example_test.go:68
	//
	// what the others were doing:
	// 	a: ready at example_test.go:51
	//
	// to run it again:
	//
	// 	TINYIO_SCHEDULE=a,2:1 go test -run '^TestTwoClients$' github.com/tinyio-go/tinyio/tinyiotest
}

func ExampleReplay() {
	test("TestTwoClientsOnce", func(t testing.TB) {
		tinyiotest.Replay(t, "a,2:1", patientClients)
	})
	// Output:
	// tinyiotest: nothing fails under schedule a,2:1
	//
	//   turn      time  who               what happens
	//      1        0s  patientClients#0  starts a#1, b#2; waits for a coroutine (a#1, b#2) at example_test.go:122
	//      2            a#1               waits for its turn at example_test.go:111
	//      3            b#2               waits for an event at example_test.go:98
	//      4            a#1               wakes b#2; waits for its turn at example_test.go:72
	//      5            a#1               goes before b#2; waits for its turn at example_test.go:111
	//      6            b#2               waits for an event at example_test.go:98
	//      7            a#1               wakes b#2; ends
	//      8            b#2               waits for its turn at example_test.go:111
	//      9            b#2               waits for its turn at example_test.go:72
	//     10            b#2               waits for its turn at example_test.go:111
	//     11            b#2               ends; wakes patientClients#0
	//     12            patientClients#0  ends
}

func ExampleExplore_fixed() {
	test("TestTwoClients", func(t testing.TB) {
		tinyiotest.Explore(t, patientClients)
	})
	// Output:
	// tinyiotest: 395 schedules: among them all with at most 2 deviations; and 375 random ones, 6 of them new
}

func ExampleFaults() {
	test("TestTwoClients", func(t testing.TB) {
		tinyiotest.Explore(t, patientClients, tinyiotest.Faults())
	})
	// Output:
	// tinyiotest: after 5 schedules: what must hold at the end does not under schedule a,cancel:2
	//
	//   turn      time  who               what happens
	//      1        0s  patientClients#0  starts a#1, b#2; waits for a coroutine (a#1, b#2) at example_test.go:122
	//      2            a#1               waits for its turn at example_test.go:111
	//                   (fault)           the context of the run is cancelled; stops patientClients#0, a#1, b#2; never runs: b#2
	//      3            a#1               ends, cancelled; wakes patientClients#0
	//      4            patientClients#0  ends, cancelled
	//
	// the connection is lost
	//
	// to run it again:
	//
	// 	TINYIO_SCHEDULE=a,cancel:2 go test -run '^TestTwoClients$' github.com/tinyio-go/tinyio/tinyiotest
}

func ExampleAtEnd() {
	test("TestTwoClients", func(t testing.TB) {
		tinyiotest.Explore(t, carefulClients, tinyiotest.Faults())
	})
	// Output:
	// tinyiotest: 1000 schedules: among them all with at most 2 deviations; and 919 random ones, 50 of them new
}

// test calls f with a test that prints what it is told, without what is different each time.
func test(name string, f func(t testing.TB)) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f(&printedTest{name: name})
	}()
	<-ended
}

type printedTest struct {
	testing.TB
	name string
}

func (t *printedTest) Helper()       {}
func (t *printedTest) Name() string  { return t.name }
func (t *printedTest) Failed() bool  { return false }
func (t *printedTest) Skipped() bool { return false }

var (
	timing    = regexp.MustCompile(` in \S+ \(\d+ a second\)`)
	directory = regexp.MustCompile(`(\t|at )/\S*/`)
)

func (t *printedTest) Logf(format string, args ...any) {
	said := timing.ReplaceAllString(fmt.Sprintf(format, args...), "")
	fmt.Println(directory.ReplaceAllString(said, "$1"))
}

func (t *printedTest) Fatal(args ...any) {
	t.Logf("%s", fmt.Sprint(args...))
	runtime.Goexit()
}

func (t *printedTest) Fatalf(format string, args ...any) { t.Fatal(fmt.Sprintf(format, args...)) }
