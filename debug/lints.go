package debug

import (
	"fmt"
	"strings"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// A lint is something that can be wrong with a run.
type lint struct {
	Number string
	Title  string
	Means  string // what it is, and how it is seen
	Do     string // what to do about it
}

// A finding is a lint that has been found in a run.
type finding struct {
	Lint string     `json:"lint"`
	Coro string     `json:"coro,omitempty"` // which coroutine it is about, if it is about one
	ID   *tinyio.ID `json:"id,omitempty"`
	Text string     `json:"text"`
}

// The numbers of the lints. A number is not used again.
const (
	blockingTurn    = "TIO1"
	computingTurn   = "TIO2"
	spinning        = "TIO3"
	noAnswer        = "TIO4"
	awaitsDaemon    = "TIO5"
	onlyDaemons     = "TIO6"
	nobodyWakes     = "TIO7"
	deafThread      = "TIO8"
	slowCleanup     = "TIO9"
	moreCoroutines  = "TIO10"
	moreReady       = "TIO11"
	manyThreads     = "TIO12"
	heldLong        = "TIO13"
	neverStarted    = "TIO14"
	growingQueue    = "TIO15"
	threadsAreMany  = 1000
	turnsOfSpinners = 1000 // in spinPause
	spinPause       = 50 * time.Millisecond
	stopPause       = time.Second
	growthSamples   = 5 // at least
	growthTime      = 10 * time.Second
)

var lints = []lint{
	{blockingTurn, "a turn that blocks",
		"A coroutine has called something that blocks, and not through its Co: time.Sleep, a channel, a mutex, a WaitGroup, the network, a " +
			"database, a command, or a Run of another loop. Nobody else on the loop has had a turn since. It is seen by the loop, which has not " +
			"answered for a second, and by the state of the goroutine whose turn it is.",
		"Wait through the Co: co.Sleep, Recv and Send for channels, an Event, a Lock or a Queue among coroutines. Put what blocks and has no " +
			"such form in Call, or in RunInThread. The stack says which call it is. Package tinyiovet finds most of these before they run, and " +
			"WithWatchdog tells of them in production."},
	{computingTurn, "a turn that computes",
		"A coroutine has kept the processor for a second or longer. Nobody else on the loop has had a turn since, and no timer has fired. It is " +
			"seen by the loop, which has not answered for a second, while the goroutine whose turn it is runs.",
		"If the loop in the stack has no end, mend it. If it is long, compute in RunInThread or RunInPool, which use the other processors too, " +
			"or yield with co.Yield now and then."},
	{spinning, "a coroutine that spins on Yield",
		"A coroutine yields again and again, at the same place, and so keeps a processor busy. It is seen by looking twice, 50 ms apart: both " +
			"times it had just yielded, at the same line, and either there were more than 1,000 turns in between, or nobody else had one.",
		"If it asks each time whether something has happened, wait for that instead: with an Event, a Queue, or the coroutine that brings it " +
			"about. If it has to ask, co.Sleep in between. If it computes, and yields so that others get their turns, it is better off in RunInThread."},
	{noAnswer, "a loop that does not answer, with no turn under way",
		"The loop has not answered for a second, and is not in a turn. Either a host drives it (Start) and takes no step, or an observer, a " +
			"picker or a clock that the loop was given blocks, or a run was begun by Start and never ranged over.",
		"A host has to take the next step when the Deadline of its Pause has come, or its Wake can be received from. Tools must not block."},
	{awaitsDaemon, "an await of a daemon",
		"A coroutine that is no daemon waits for one. A daemon is stopped when nothing else is left. While it is awaited, its awaiter is left: " +
			"if the daemon runs for ever, so does the run.",
		"Have the daemon set an Event or put a value into a Queue, and wait for that; or start it with Spawn, if it comes to an end by itself."},
	{onlyDaemons, "a wait that only a daemon can end",
		"All coroutines but daemons wait for an event, a permit, a barrier or a queue, without a time limit, and no thread is under way for them. So " +
			"only a daemon, or a goroutine from outside, can ever wake them. If that daemon does not, the run never ends, and as daemons keep busy, " +
			"no deadlock is reported.",
		"Look at what they wait for, and who is to bring it about. Give the wait a limit: WaitFor of an Event, GetFor of a Queue, Timeout."},
	{nobodyWakes, "no coroutine can wake another one",
		"All coroutines wait for an event, a permit, a barrier, a queue or each other, without a time limit, and no thread is under way. Only a " +
			"goroutine from outside can wake them: by Set of an Event, or by Submit or Post. If none is going to, this is a deadlock.",
		"Look at what they wait for, and who is to bring it about. With WithVirtualTime in a test, the run fails with a DeadlockError at this point."},
	{deafThread, "a thread that ignores its context",
		"A coroutine has been stopped, and its thread or call has not returned. The run, or the Timeout, Cancel or Isolate that stopped it, waits " +
			"until it does. It is seen by looking twice, a second apart.",
		"Pass the context that the function is given on to whatever blocks in it. What takes no context belongs in CallInterruptible, with a function " +
			"that closes what it reads from."},
	{slowCleanup, "a clean-up that takes long",
		"A coroutine has been stopped, and waits for something in a Shield, still at the same line. It is seen by looking twice, a second apart.",
		"See whether the grace period of the Shield is as long as you can wait, and whether what it waits for can still happen: coroutines " +
			"that are being stopped, and are not in a Shield, do nothing any more."},
	{moreCoroutines, "more and more coroutines",
		"At each of the last looks, over at least ten seconds, there were more coroutines than before, and now there are twice as many as at first. The page " +
			"remembers what it has seen when it was asked: leave it open, or ask for it several times.",
		"Work comes in faster than it is done. Bound it: with a Semaphore that is acquired before the coroutine is made, a Queue with a capacity, " +
			"or a Timeout for each piece of work. The tree says what they wait for."},
	{moreReady, "a ready queue that grows",
		"At each of the last looks, over at least ten seconds, more coroutines were ready than before, and now there are twice as many as at first. The loop " +
			"cannot keep up: one processor is not enough for what its coroutines do in their turns.",
		"Find out what the turns are spent on, with a CPU profile. Put computation in RunInPool, or spread the work over several loops."},
	{manyThreads, "very many threads",
		"More than 1,000 threads, calls and callbacks are under way. Each is a goroutine that blocks, perhaps an operating system's thread, a " +
			"connection or an open file.",
		"Bound them: with a ThreadPool and RunInPool or MapInPool, or a Semaphore around Call."},
	{heldLong, "a lock that is held for long",
		"Somebody waits for a permit of a Lock, a Semaphore or a ThreadPool, and for at least ten seconds none has been granted. It is seen at " +
			"several looks: leave the page open, or ask for it again.",
		"See which coroutine has it, and what that waits for: the others in the tree that were started by the same code. Do not hold a lock during a wait that can " +
			"take long; release it with defer; and give what is done under it a Timeout. If it is a pool whose work takes that long, nothing is wrong but its size."},
	{neverStarted, "coroutines that are made and never started",
		"Coroutines are made at a place in the program, and none of them is ever awaited, gathered, spawned or run: their functions have never begun. " +
			"It is seen by samples: for one in 16, at random, the page notes where it was made, and whether it has begun. It is reported when there are eight " +
			"samples of a place, the first of them ten seconds old, and none has begun. It is shown with the first run, since such a coroutine belongs to none.",
		"Await it, or give it to Spawn, Wait or Gather; Go makes one and starts it. If it is only needed sometimes, make it then. Package tinyiovet " +
			"finds those that are made and dropped at once."},
	{growingQueue, "a queue that grows",
		"At each of the last looks, over at least ten seconds, a Queue held more values than before, and now it holds 1,000 at least and twice as many as " +
			"at first. Only queues with a capacity of 1,000 or more are looked at: others make a Put wait.",
		"The coroutines that get from it do not keep up with those that put. Give it a smaller capacity, so that these wait; get with several coroutines; or put " +
			"what takes long in RunInPool."},
}

// lintOf returns the lint with a number.
func lintOf(number string) (lint, bool) {
	for _, l := range lints {
		if strings.EqualFold(l.Number, number) {
			return l, true
		}
	}
	return lint{}, false
}

// about is a finding about one coroutine.
func about(number string, c *coroutine, format string, args ...any) finding {
	return finding{Lint: number, Coro: c.Coro, ID: &c.ID, Text: c.Coro + " " + fmt.Sprintf(format, args...)}
}

// stuckFindings says why a loop does not answer.
func stuckFindings(v *view) []finding {
	t := v.Turn
	if t == nil {
		return []finding{{Lint: noAnswer, Text: "the loop does not answer, and it is nobody's turn"}}
	}
	f := finding{Lint: blockingTurn, Coro: t.Coro}
	lasted := t.Lasted.Round(time.Millisecond)
	switch state := doing(t.Stack); {
	case calls(t.Stack, "github.com/tinyio-go/tinyio.(*Co).Yield"), calls(t.Stack, "github.com/tinyio-go/tinyio.(*Co).yield"):
		f.Lint, f.Text = spinning, fmt.Sprintf("%s has spun on Yield for %v", t.Coro, lasted)
	case state == "":
		f.Text = fmt.Sprintf("the turn of %s has lasted %v; its stack could not be taken", t.Coro, lasted)
	case state == "running" || state == "runnable" || state == "preempted":
		f.Lint, f.Text = computingTurn, fmt.Sprintf("%s has computed for %v", t.Coro, lasted)
	case strings.HasPrefix(state, "coroutine"):
		f.Text = fmt.Sprintf("%s has been in another run, or another coroutine, for %v", t.Coro, lasted)
	default:
		f.Text = fmt.Sprintf("%s has been blocked for %v: %s", t.Coro, lasted, state)
	}
	return []finding{f}
}

// findings returns what is found in a run that answers. To look again, after a pause, is for what shows only then.
func findings(all []coroutine, s tinyio.Stats, samples []sample, again func(time.Duration) ([]coroutine, tinyio.Stats)) (found []finding) {
	found = append(found, findDaemons(all)...)
	found = append(found, findNobodyWakes(all)...)
	if s.Threads > threadsAreMany {
		found = append(found, finding{Lint: manyThreads, Text: fmt.Sprintf("%d threads, calls and callbacks are under way", s.Threads)})
	}
	if from, to, ok := growth(samples, func(s sample) int { return s.live }); ok {
		found = append(found, finding{Lint: moreCoroutines, Text: fmt.Sprintf("there are %d coroutines, and there were %d", to, from)})
	}
	if from, to, ok := growth(samples, func(s sample) int { return s.ready }); ok {
		found = append(found, finding{Lint: moreReady, Text: fmt.Sprintf("%d coroutines are ready, and there were %d", to, from)})
	}
	var yielded, stopped bool
	for _, c := range all {
		yielded = yielded || c.Yielded
		stopped = stopped || c.Stopped != nil && isOwnWait(c)
	}
	if yielded {
		later, t := again(spinPause)
		found = append(found, findSpinning(all, later, t.Turns-s.Turns)...)
	}
	if stopped {
		later, _ := again(stopPause)
		found = append(found, findSlow(all, later)...)
	}
	return found
}

// waitsOn reports that c waits for w.
func waitsOn(c coroutine, w hook.Wait) bool { return c.State == "waiting" && c.On == w.String() }

// isThread reports that c waits for a goroutine.
func isThread(c coroutine) bool { return waitsOn(c, hook.Outside) || waitsOn(c, hook.Call) }

// isOwnWait reports that c waits, and not for other coroutines.
func isOwnWait(c coroutine) bool { return c.State == "waiting" && len(c.For) == 0 }

// findDaemons finds awaits of daemons.
func findDaemons(all []coroutine) (found []finding) {
	daemons := map[tinyio.ID]string{}
	for _, c := range all {
		if c.Daemon {
			daemons[c.ID] = c.Coro
		}
	}
	for i, c := range all {
		if c.Daemon || !waitsOn(c, hook.Coroutine) || len(daemons) == 0 {
			continue
		}
		for _, id := range c.For {
			if name, ok := daemons[id]; ok {
				found = append(found, about(awaitsDaemon, &all[i], "waits for %s, which is a daemon", name))
				break
			}
		}
	}
	return found
}

// findNobodyWakes finds runs in which all coroutines except daemons wait for another one to do something.
func findNobodyWakes(all []coroutine) []finding {
	daemons := 0
	var waiters []*coroutine // who do not merely wait for others
	able := false            // a daemon can wake somebody
	for i, c := range all {
		passive := c.State == "waiting" && c.Deadline.IsZero() && !isThread(c) && !waitsOn(c, hook.Timer)
		switch {
		case c.Daemon:
			daemons++
			able = able || !passive
		case !passive:
			return nil
		case len(c.For) == 0:
			waiters = append(waiters, &all[i])
		}
	}
	switch {
	case len(waiters) == 0:
		return nil
	case able:
		return []finding{about(onlyDaemons, waiters[0], "waits for %s%s, and only a daemon, or something from outside, can wake anybody",
			waiters[0].On, others(len(waiters)))}
	default:
		return []finding{about(nobodyWakes, waiters[0], "waits for %s%s, and only something from outside can wake anybody",
			waiters[0].On, others(len(waiters)))}
	}
}

// others says how many more there are than one.
func others(n int) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprintf(", as %d others wait for something", n-1)
}

// findSpinning finds who had yielded at both looks, between which there were so many turns.
func findSpinning(before, after []coroutine, turns uint64) (found []finding) {
	then := map[tinyio.ID]coroutine{}
	yielders := 0
	for _, c := range before {
		if c.Yielded {
			then[c.ID] = c
			yielders++
		}
	}
	alone := yielders == 1 && turns <= 2 // the turns of one that yields alone are not counted
	for i, c := range after {
		if t, ok := then[c.ID]; ok && c.Yielded && t.File == c.File && t.Line == c.Line && (alone || turns >= turnsOfSpinners) {
			found = append(found, about(spinning, &after[i], "yields again and again"))
		}
	}
	return found
}

// findSlow finds who was being stopped at both looks and waits for something of its own.
func findSlow(before, after []coroutine) (found []finding) {
	then := map[tinyio.ID]coroutine{}
	for _, c := range before {
		if c.Stopped != nil && isOwnWait(c) {
			then[c.ID] = c
		}
	}
	for i, c := range after {
		t, ok := then[c.ID]
		switch {
		case !ok || c.Stopped == nil || t.On != c.On || t.File != c.File || t.Line != c.Line:
		case isThread(c):
			found = append(found, about(deafThread, &after[i], "has been stopped, and its thread or call has not returned: %v", c.Stopped))
		default:
			found = append(found, about(slowCleanup, &after[i], "has been stopped, and still waits for %s: %v", c.On, c.Stopped))
		}
	}
	return found
}

// findHeld finds permits of which nobody has been given one for long.
func findHeld(all []coroutine, since map[uintptr]time.Time, now time.Time) (found []finding) {
	waiters := map[uintptr]int{}
	for _, c := range all {
		waiters[c.Permits]++
	}
	for i, c := range all {
		began, first := since[c.Permits]
		if !first {
			continue
		}
		delete(since, c.Permits) // one finding for all who wait there
		if waited := now.Sub(began); waited >= growthTime {
			found = append(found, about(heldLong, &all[i], "waits for a permit%s, and nobody has been given one for %v",
				others(waiters[c.Permits]), waited.Round(time.Second)))
		}
	}
	return found
}

// growth reports that a number has only grown, for long enough, and doubled.
func growth(samples []sample, of func(sample) int) (from, to int, ok bool) {
	n := len(samples)
	if n == 0 {
		return 0, 0, false
	}
	i := n - 1
	for i > 0 && of(samples[i-1]) < of(samples[i]) {
		i--
	}
	from, to = of(samples[i]), of(samples[n-1])
	return from, to, n-i >= growthSamples && samples[n-1].at.Sub(samples[i].at) >= growthTime && to >= 2*max(from, 1)
}
