package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
	"github.com/tinyio-go/tinyio/examples/kv/internal/web"
)

// These tests are in bubbles of testing/synctest, whose time is virtual: an hour takes no time, and passes only when nothing
// more can happen.

// A key has what was put last, and a version that each write raises.
func TestPutGetDelete(t *testing.T) {
	eachServer(t, func(f *fixture) {
		f.want(answer{status: 404}, "GET", "/kv/a", "")
		f.want(answer{status: 404}, "DELETE", "/kv/a", "")
		f.want(answer{201, `"1"`, ""}, "PUT", "/kv/a", "one")
		f.want(answer{200, `"1"`, "one"}, "GET", "/kv/a", "")
		f.want(answer{204, `"2"`, ""}, "PUT", "/kv/a", "two")
		f.want(answer{201, `"3"`, ""}, "PUT", "/kv/a/b%2Fc?x", "")
		f.want(answer{200, `"3"`, ""}, "GET", "/kv/a/b/c", "")
		f.want(answer{204, `"4"`, ""}, "DELETE", "/kv/a", "")
		f.want(answer{status: 404}, "GET", "/kv/a", "")
		f.want(answer{201, `"5"`, ""}, "PUT", "/kv/a", "three")
	})
}

// A write with a condition is made only if that holds.
func TestConditions(t *testing.T) {
	eachServer(t, func(f *fixture) {
		f.want(answer{status: 412}, "PUT", "/kv/a", "x", "If-Match", "*")
		f.want(answer{status: 412}, "PUT", "/kv/a", "x", "If-Match", `"1"`)
		f.want(answer{201, `"1"`, ""}, "PUT", "/kv/a", "x", "If-None-Match", "*")
		f.want(answer{status: 412}, "PUT", "/kv/a", "x", "If-None-Match", "*")
		f.want(answer{204, `"2"`, ""}, "PUT", "/kv/a", "x", "If-Match", "*")
		f.want(answer{status: 412}, "PUT", "/kv/a", "x", "If-Match", `"1"`)
		f.want(answer{204, `"3"`, ""}, "PUT", "/kv/a", "x", "If-Match", `"2"`)
		f.want(answer{status: 412}, "DELETE", "/kv/a", "", "If-Match", `"2"`)
		f.want(answer{204, `"4"`, ""}, "DELETE", "/kv/a", "", "If-Match", `"3"`)
	})
}

// What makes no sense is refused, and so is what is too large.
func TestBadRequests(t *testing.T) {
	eachServer(t, func(f *fixture) {
		long := strings.Repeat("k", web.MaxKey)
		f.want(answer{201, `"1"`, ""}, "PUT", "/kv/"+long, strings.Repeat("v", web.MaxValue))
		for path, status := range map[string]int{
			"/kv/":          400,
			"/kv/k" + long:  400,
			"/kv/a?ttl=1":   400,
			"/kv/a?ttl=0s":  400,
			"/kv/a?ttl=-1h": 400,
			"/other":        404,
		} {
			f.want(answer{status: status}, "PUT", path, "x")
		}
		f.want(answer{status: 413}, "PUT", "/kv/a", strings.Repeat("v", web.MaxValue+1))
		for _, tag := range []string{"1", `"x"`, `"0"`, `W/"1"`, `"1", "2"`, `""1""`} {
			f.want(answer{status: 400}, "DELETE", "/kv/"+long, "", "If-Match", tag)
		}
		f.want(answer{status: 400}, "PUT", "/kv/a", "x", "If-None-Match", `"1"`)
		f.want(answer{status: 400}, "GET", "/watch", "", "Last-Event-ID", "x")
	})
}

// Each path is a key of its own, whatever it looks like, and nobody is sent to another one.
func TestPathsAreKeys(t *testing.T) {
	eachServer(t, func(f *fixture) {
		paths := []string{"b", "a//b", "a/b", "a/../b", "a/./b", "/a", "//", ".", "..", "../b", "a/", "a/..", "a%2F%2F%2Fb", "%2e%2e/b/%2E", "%20", "%00",
			"a%3Fb", "%25", "%C3%A9", "%EF%BF%BD", "watch"}
		for i, path := range paths {
			f.want(answer{201, fmt.Sprintf(`"%d"`, i+1), ""}, "PUT", "/kv/"+path, path)
		}
		for i, path := range paths {
			f.want(answer{200, fmt.Sprintf(`"%d"`, i+1), path}, "GET", "/kv/"+path, "")
		}
		f.want(answer{200, `"1"`, ""}, "HEAD", "/kv/b", "")
		for i, c := range f.log.changes() {
			want, err := url.PathUnescape(paths[i])
			if err != nil || c.Key != want {
				t.Errorf("the key of %s is %q", paths[i], c.Key)
			}
		}
		for _, path := range []string{"/kv", "/", "//kv/b", "/kv/../kv/b", "/./kv/b", "/watch/", "/a/../watch", "/KV/b"} {
			f.want(answer{status: 404}, "GET", path, "")
		}
		for _, method := range []string{"POST", "PATCH", "OPTIONS", "get"} {
			f.want(answer{status: 405}, method, "/kv/b", "")
			f.want(answer{status: 405}, method, "/watch", "")
		}
	})
}

// Keys that are not UTF-8 are refused. In the file they could not be told from each other.
func TestKeysThatAreNoText(t *testing.T) {
	eachServer(t, func(f *fixture) {
		for _, key := range []string{"%ff", "%fe", "a%80", "%C3", "%ED%A0%80", "%C0%AF"} {
			for _, method := range []string{"PUT", "GET", "HEAD", "DELETE"} {
				f.want(answer{status: 400}, method, "/kv/"+key, "")
			}
			f.want(answer{status: 400}, "GET", "/watch?prefix="+key, "")
		}
		if n := len(f.log.changes()); n != 0 {
			f.t.Errorf("there are %d changes", n)
		}
	})
}

// An item is deleted when its time has come, no earlier and no later.
func TestExpiry(t *testing.T) {
	eachServer(t, func(f *fixture) {
		f.want(answer{201, `"1"`, ""}, "PUT", "/kv/a?ttl=1h", "x")
		time.Sleep(time.Hour - time.Nanosecond)
		f.want(answer{200, `"1"`, "x"}, "GET", "/kv/a", "")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		f.want(answer{status: 404}, "GET", "/kv/a", "")
		f.want(answer{201, `"3"`, ""}, "PUT", "/kv/a", "y")
	})
}

// An item that has been replaced does not expire at the time of the one before it.
func TestReplacedItemsDoNotExpire(t *testing.T) {
	eachServer(t, func(f *fixture) {
		f.want(answer{201, `"1"`, ""}, "PUT", "/kv/kept?ttl=1h", "x")
		f.want(answer{201, `"2"`, ""}, "PUT", "/kv/longer?ttl=1h", "x")
		f.want(answer{201, `"3"`, ""}, "PUT", "/kv/deleted?ttl=1h", "x")
		f.want(answer{204, `"4"`, ""}, "PUT", "/kv/kept", "y")
		f.want(answer{204, `"5"`, ""}, "PUT", "/kv/longer?ttl=3h", "y")
		f.want(answer{204, `"6"`, ""}, "DELETE", "/kv/deleted", "")
		time.Sleep(2 * time.Hour)
		f.want(answer{200, `"4"`, "y"}, "GET", "/kv/kept", "")
		f.want(answer{200, `"5"`, "y"}, "GET", "/kv/longer", "")
		time.Sleep(time.Hour)
		synctest.Wait()
		f.want(answer{status: 404}, "GET", "/kv/longer", "")
		if n := len(f.log.changes()); n != 7 {
			f.t.Errorf("there are %d changes, want 7: only one item has expired", n)
		}
	})
}

// A write that replaces an item at the moment in which that expires is not deleted: the deletion comes with the condition that
// the item is still there, in whichever order the two go into the commit.
func TestReplacedAtTheMomentOfExpiry(t *testing.T) {
	eachServer(t, func(f *fixture) {
		f.want(answer{201, `"1"`, ""}, "PUT", "/kv/a?ttl=1h", "x")
		f.log.gate = make(chan error)
		other := f.begin("PUT", "/kv/other", "x")
		replacement := f.begin("PUT", "/kv/a", "y") // waits behind the commit of other
		time.Sleep(time.Hour)
		synctest.Wait()
		close(f.log.gate)
		<-other.done
		<-replacement.done
		synctest.Wait()
		f.want(answer{200, `"3"`, "y"}, "GET", "/kv/a", "")
	})
}

// What has a time to live has it across a restart. What has expired meanwhile goes when the server is back.
func TestExpiryAcrossRestarts(t *testing.T) {
	eachServer(t, func(f *fixture) {
		f.want(answer{201, `"1"`, ""}, "PUT", "/kv/soon?ttl=1h", "x")
		f.want(answer{201, `"2"`, ""}, "PUT", "/kv/late?ttl=3h", "x")
		if err := f.end(); err != nil {
			f.t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		f = start(f.t, f.serve, f.log)
		f.want(answer{status: 404}, "GET", "/kv/soon", "")
		f.want(answer{200, `"2"`, "x"}, "GET", "/kv/late", "")
		time.Sleep(time.Hour)
		synctest.Wait()
		f.want(answer{status: 404}, "GET", "/kv/late", "")
	})
}

// Writes that come while a commit is under way go into the next one, all together, and are answered after it. Nobody sees
// anything of a write before it has been committed.
func TestGroupCommit(t *testing.T) {
	eachServer(t, func(f *fixture) {
		f.log.gate = make(chan error)
		w := f.follow("", "0")
		writes := []*pending{f.begin("PUT", "/kv/a", "0")}
		for i := 1; i <= 10; i++ {
			writes = append(writes, f.begin("PUT", fmt.Sprintf("/kv/a?%d", i), fmt.Sprint(i)))
		}
		tooLate := f.begin("PUT", "/kv/a", "x", "If-None-Match", "*")
		f.want(answer{status: 404}, "GET", "/kv/a", "")
		f.log.gate <- nil
		synctest.Wait()
		f.want(answer{200, `"1"`, "0"}, "GET", "/kv/a", "")
		for i, p := range append(writes, tooLate) {
			if p.isDone() != (i == 0) {
				t.Errorf("write %d is answered: %v, after the first commit", i, p.isDone())
			}
		}
		f.log.gate <- nil
		for i, p := range writes {
			if <-p.done; p.err != nil || p.answer.tag != fmt.Sprintf(`"%d"`, i+1) {
				t.Errorf("the answer to write %d is %+v, %v", i, p.answer, p.err)
			}
		}
		if <-tooLate.done; tooLate.answer.status != 412 {
			t.Errorf("the answer to the write whose condition does not hold is %+v", tooLate.answer)
		}
		if n := len(f.log.commits); n != 2 || len(f.log.commits[1]) != 10 {
			t.Errorf("there were %d commits, the last one of %d changes; want 2, of 10", n, len(f.log.commits[n-1]))
		}
		f.stop()
		if n := w.rest(f.t, 1); n != 11 {
			t.Errorf("the watcher was told of %d changes, want 11", n)
		}
	})
}

// A watcher is told of every change of its prefix, in order; and one that comes back, of those that it has missed.
func TestWatch(t *testing.T) {
	eachServer(t, func(f *fixture) {
		f.want(answer{201, `"1"`, ""}, "PUT", "/kv/a/1", "x")
		now, part := f.follow("", ""), f.follow("a/", "0")
		f.want(answer{201, `"2"`, ""}, "PUT", "/kv/b", "y")
		f.want(answer{204, `"3"`, ""}, "DELETE", "/kv/a/1", "")
		f.want(answer{201, `"4"`, ""}, "PUT", "/kv/a/2?ttl=1h", "z")
		expires := time.Now().Add(time.Hour).UTC()
		all := []table.Change{
			{Version: 1, Key: "a/1", Value: []byte("x")},
			{Version: 2, Key: "b", Value: []byte("y")},
			{Version: 3, Key: "a/1", Deleted: true},
			{Version: 4, Key: "a/2", Value: []byte("z"), Expires: expires},
			{Version: 5, Key: "a/2", Deleted: true},
		}
		wantEvents(f.t, now, all[1:4])
		wantEvents(f.t, part, table.With("a/", all[:4]))
		time.Sleep(time.Hour)
		wantEvents(f.t, now, all[4:])
		wantEvents(f.t, part, all[4:])
		wantEvents(f.t, f.follow("", "3"), all[3:])
		back := f.follow("none", "2")
		f.stop()
		for _, w := range []*watch{now, part, back} {
			if n := w.rest(f.t, 0); n != 0 || w.last != "5" {
				f.t.Errorf("%d more events, the last id is %s; want none, and 5", n, w.last)
			}
		}
	})
}

func wantEvents(t *testing.T, w *watch, want []table.Change) {
	t.Helper()
	for _, c := range want {
		got, err := w.next()
		if err != nil || fmt.Sprint(got) != fmt.Sprint(c) {
			t.Errorf("the event is %+v, %v, want %+v", got, err, c)
		}
	}
}

// A watcher that does not take what it is told is cut off, after a bounded number of changes has piled up. It can come back and
// misses nothing.
func TestSlowWatcher(t *testing.T) {
	const onTheWay = 300 // at most, in what net/http has for buffers on both sides, depending on who is when
	eachServer(t, func(f *fixture) {
		slow := f.follow("", "")
		for range web.MaxBehind + 2*onTheWay {
			f.send("PUT", "/kv/a", "x")
		}
		synctest.Wait()
		got := slow.rest(f.t, 1)
		if got < web.MaxBehind || got > web.MaxBehind+onTheWay {
			f.t.Errorf("it got %d events, want %d and up to %d that were on the way", got, web.MaxBehind, onTheWay)
		}
		wantEvents(f.t, f.follow("", slow.last), f.log.changes()[got:])
	})
}

// A watcher whose prefix is quiet is told so now and then, so that it comes back to what is remembered, however much has happened
// elsewhere.
func TestQuietWatcher(t *testing.T) {
	const n = 2*table.HistoryLimit - 10
	changes := make([]table.Change, n)
	for i := range changes {
		changes[i] = table.Change{Version: uint64(i) + 1, Key: "a"}
	}
	eachServerWith(t, func() *memory { return &memory{commits: [][]table.Change{changes}} }, func(f *fixture) {
		quiet, busy := f.follow("quiet", ""), f.follow("a", "")
		for range 2*web.QuietLimit + 10 {
			f.send("PUT", "/kv/a", "x")
			if _, err := busy.next(); err != nil {
				f.t.Fatal(err)
			}
		}
		for _, want := range []uint64{n, n + web.QuietLimit, n + 2*web.QuietLimit} {
			line, err := quiet.lines.ReadString('\n')
			if err != nil || line != fmt.Sprintf("id: %d\n", want) {
				f.t.Errorf("the watcher is told %q, %v, want the id %d", line, err, want)
			}
			if line, err := quiet.lines.ReadString('\n'); err != nil || line != "\n" {
				f.t.Errorf("the watcher is told %q, %v, want the end of the event", line, err)
			}
			quiet.last = fmt.Sprint(want)
		}
		f.want(answer{status: 410}, "GET", "/watch", "", "Last-Event-ID", fmt.Sprint(n-table.HistoryLimit))
		back := f.follow("quiet", quiet.last)
		f.want(answer{201, fmt.Sprintf(`"%d"`, n+2*web.QuietLimit+11), ""}, "PUT", "/kv/quiet", "x")
		for _, w := range []*watch{quiet, back} {
			if c, err := w.next(); err != nil || c.Key != "quiet" || c.Version != n+2*web.QuietLimit+11 {
				f.t.Errorf("the watcher is told of %+v, %v", c, err)
			}
		}
	})
}

// A watcher that comes back too late to be told of all that it has missed is told that.
func TestForgottenChanges(t *testing.T) {
	const n = 3 * table.HistoryLimit
	changes := make([]table.Change, n)
	for i := range changes {
		changes[i] = table.Change{Version: uint64(i) + 1, Key: "a"}
	}
	eachServerWith(t, func() *memory { return &memory{commits: [][]table.Change{changes}} }, func(f *fixture) {
		f.want(answer{status: 410}, "GET", "/watch", "", "Last-Event-ID", "0")
		f.want(answer{status: 410}, "GET", "/watch", "", "Last-Event-ID", fmt.Sprint(n+1)) // which has never been
		wantEvents(f.t, f.follow("", fmt.Sprint(n-table.HistoryLimit)), changes[n-table.HistoryLimit:])
	})
}

// A watcher that takes nothing at all holds up nobody else, and is dropped in the end, so that the server can stop.
func TestStuckWatcher(t *testing.T) {
	eachServer(t, func(f *fixture) {
		f.follow("", "") // and does not read
		for i := range 10 {
			if a, err := f.send("PUT", "/kv/a", "x"); err != nil || a.status >= 400 {
				f.t.Fatalf("write %d: %+v, %v", i, a, err)
			}
		}
		before := time.Now()
		if err := f.end(); err != nil {
			f.t.Error(err)
		}
		if d := time.Since(before); d > web.Grace {
			f.t.Errorf("to stop took %v", d)
		}
	})
}

// When the server is told to stop, a request in flight is answered, after its commit, and then the server ends without an
// error.
func TestStopAnswersRequestsInFlight(t *testing.T) {
	eachServer(t, func(f *fixture) {
		f.log.gate = make(chan error)
		first, second := f.begin("PUT", "/kv/a", "x"), f.begin("PUT", "/kv/b", "y")
		w := f.follow("", "")
		f.stop()
		synctest.Wait()
		if n := w.rest(f.t, 1); n != 0 {
			f.t.Errorf("the watcher was told of %d changes that are not committed", n)
		}
		if _, err := f.send("GET", "/kv/a", ""); err == nil {
			f.t.Error("a new connection is accepted by a server that stops")
		}
		close(f.log.gate)
		for _, p := range []*pending{first, second} {
			if <-p.done; p.err != nil || p.answer.status != 201 {
				f.t.Errorf("the answer is %+v, %v", p.answer, p.err)
			}
		}
		if err := f.end(); err != nil {
			f.t.Error(err)
		}
		if n := len(f.log.changes()); n != 2 {
			f.t.Errorf("%d changes are committed, want 2", n)
		}
	})
}

// A client that does not send what it has announced, or does not take its answer, is cut off in time for the server to stop without an
// error. If there is something to be told, it is told.
func TestStopDoesNotWaitForEver(t *testing.T) {
	for request, status := range map[string]int{
		"PUT /kv/a HTTP/1.1\r\nHost: kv\r\nContent-Length: 5\r\n\r\nhe":                       408,
		"PUT /kv/a HTTP/1.1\r\nHost: kv\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe":         408,
		"PUT /kv/a HTTP/1.1\r\nHost: kv\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n": 408,
		"PUT /kv/a?ttl=x HTTP/1.1\r\nHost: kv\r\nContent-Length: 5\r\n\r\nhe":                 400,
		"POST /kv/a HTTP/1.1\r\nHost: kv\r\nContent-Length: 5\r\n\r\nhe":                      405,
		"PUT /other HTTP/1.1\r\nHost: kv\r\nContent-Length: 5\r\n\r\nhe":                      404,
		"PUT /kv/a HTTP/1.1\r\nHost: kv\r\nContent-Le":                                        0,
		"PUT /kv": 0,
		"":        0,
	} {
		eachServer(t, func(f *fixture) {
			conn, err := f.pipes.dial()
			if err != nil {
				f.t.Fatal(err)
			}
			defer conn.Close()
			got := make(chan int, 1)
			go func() {
				got <- 0
				answers := bufio.NewReader(conn)
				for {
					res, err := http.ReadResponse(answers, nil)
					if err != nil {
						return
					}
					if res.StatusCode != 100 {
						<-got
						got <- res.StatusCode
					}
				}
			}()
			io.WriteString(conn, request)
			synctest.Wait()
			before := time.Now()
			if err := f.end(); err != nil {
				f.t.Errorf("%q: the error is %v", request, err)
			}
			if d := time.Since(before); d >= web.Grace {
				f.t.Errorf("%q: to stop took %v", request, d)
			}
			synctest.Wait()
			if got := <-got; got != status {
				f.t.Errorf("%q: the status is %d, want %d", request, got, status)
			}
		})
	}
}

// So it is with one who does not take the answer.
func TestStopDoesNotWaitForReaders(t *testing.T) {
	for _, request := range []string{"GET /kv/a HTTP/1.1", "GET /kv/b HTTP/1.1", "DELETE /kv/a HTTP/1.1", "GET /kv/ HTTP/1.1", "POST /watch HTTP/1.1"} {
		eachServer(t, func(f *fixture) {
			f.want(answer{201, `"1"`, ""}, "PUT", "/kv/a", "x")
			conn, err := f.pipes.dial()
			if err != nil {
				f.t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, request+"\r\nHost: kv\r\n\r\n")
			synctest.Wait()
			before := time.Now()
			if err := f.end(); err != nil {
				f.t.Errorf("%s: the error is %v", request, err)
			}
			if d := time.Since(before); d >= web.Grace {
				f.t.Errorf("%s: to stop took %v", request, d)
			}
		})
	}
}

// A client that keeps a connection has all the time it likes between two requests, and for each of them the same.
func TestConnectionsThatAreKept(t *testing.T) {
	eachServer(t, func(f *fixture) {
		for i := range 5 {
			f.send("PUT", "/kv/a", "x", "If-Match", "nonsense")
			f.want(answer{400, "", ""}, "PUT", "/kv/a?ttl=x", "x")
			want := answer{204, fmt.Sprintf(`"%d"`, i+1), ""}
			if i == 0 {
				want.status = 201
			}
			f.want(want, "PUT", "/kv/a", "x")
			f.want(answer{200, want.tag, "x"}, "GET", "/kv/a", "")
			time.Sleep(time.Hour)
		}
	})
}

// When the log cannot be written, the server ends with that error. Whoever waits for a commit is told so, and nothing has
// happened.
func TestFailureOfTheLog(t *testing.T) {
	errFull := errors.New("the disk is full")
	eachServer(t, func(f *fixture) {
		f.log.gate = make(chan error)
		writes := []*pending{f.begin("PUT", "/kv/a", "x"), f.begin("PUT", "/kv/b", "y"), f.begin("PUT", "/kv/c?ttl=1h", "z")}
		for i := range 50 {
			writes = append(writes, f.begin("PUT", fmt.Sprint("/kv/", i), "x"), f.begin("DELETE", fmt.Sprint("/kv/", i), ""))
		}
		w := f.follow("", "")
		f.log.gate <- errFull
		<-f.ended
		if !errors.Is(f.err, errFull) {
			f.t.Errorf("the error of the server is %v", f.err)
		}
		for _, p := range writes {
			if <-p.done; p.err != nil || p.answer.status != 503 {
				f.t.Errorf("the answer is %+v, %v, want 503", p.answer, p.err)
			}
		}
		if _, err := w.next(); err == nil {
			f.t.Error("the watcher was told of something")
		}
	})
}

// A client that goes in the middle of something harms nobody.
func TestClientsThatGo(t *testing.T) {
	eachServer(t, func(f *fixture) {
		f.log.gate = make(chan error)
		f.begin("PUT", "/kv/first", "x")
		for _, request := range []string{
			"PUT /kv/gone HTTP/1.1\r\nHost: kv\r\nContent-Length: 1\r\n\r\nx",
			"PUT /kv/half HTTP/1.1\r\nHost: kv\r\nContent-Length: 2\r\n\r\nx",
			"GET /watch HTTP/1.1\r\nHost: kv\r\n\r\n",
		} {
			conn, err := f.pipes.dial()
			if err != nil {
				f.t.Fatal(err)
			}
			io.WriteString(conn, request)
			synctest.Wait()
			conn.Close()
		}
		synctest.Wait()
		close(f.log.gate)
		f.want(answer{201, `"3"`, ""}, "PUT", "/kv/last", "y") // one that had gone may be committed, and here it is
		f.want(answer{status: 404}, "GET", "/kv/half", "")
		if err := f.end(); err != nil {
			f.t.Error(err)
		}
	})
}
