package linearizability

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// A request is what a client asks of the server.
type request struct {
	method  string
	key     string
	value   string        // of a PUT; no two have the same
	match   uint64        // the version of If-Match, 0 if there is none
	absent  bool          // If-None-Match: *
	ttl     time.Duration // of a PUT, 0 if it stays
	earlier int64         // when it was made: the time to live of what it writes begins no earlier
}

// A response is what came of a request.
type response struct {
	status  int    // 0 if the client was not told
	version uint64 // that of the item which was read or written
	value   string // of a GET
	later   int64  // when it was there
}

// An item is what one key is in the model: nothing but what README.md promises.
type item struct {
	present bool
	value   string
	version uint64 // 0 if it is not known, because nobody was told of the write
	least   uint64 // the version is at least this, and that of the next write is greater
	lapses  int64  // it may be gone from this time on, unless that is 0
}

// model is a key-value server as clients can tell: each key by itself is a register with a version.
var model = (&porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		byKey := make(map[string]int)
		for _, o := range history {
			key := o.Input.(request).key
			i, known := byKey[key]
			if !known {
				i = len(parts)
				byKey[key] = i
				parts = append(parts, nil)
			}
			parts[i] = append(parts[i], o)
		}
		return parts
	},
	Init: func() []any { return []any{item{}} },
	Step: func(state, input, output any) (next []any) {
		for _, i := range state.(item).step(input.(request), output.(response)) {
			next = append(next, i)
		}
		return next
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
	DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
}).ToModel()

// step returns what may be there after a request that got the response; nothing, if there is no such response to it.
func (i item) step(q request, r response) []item {
	next := i.answer(q, r)
	if i.present && i.lapses != 0 && i.lapses <= r.later { // it may have been deleted before
		next = append(next, i.written(request{method: http.MethodDelete}, 0).answer(q, r)...)
	}
	return next
}

// answer is step for an item whose time has not come.
func (i item) answer(q request, r response) []item {
	holds := !(q.absent && i.present) && (q.match == 0 || i.present && i.mayHave(q.match))
	fails := q.absent && i.present || q.match != 0 && !(i.present && i.version == q.match)
	switch {
	case r.status == 0 && holds && (i.present || q.method != http.MethodDelete):
		return []item{i, i.written(q, 0)}
	case r.status == 0:
		return []item{i}
	case r.status == http.StatusPreconditionFailed && fails:
		return []item{i}
	case r.status == http.StatusPreconditionFailed || !holds:
		return nil
	case r.status == http.StatusNotFound && !i.present && q.method != http.MethodPut:
		return []item{i}
	case r.status == http.StatusOK && q.method == http.MethodGet && i.present && i.value == r.value && i.mayHave(r.version):
		i.version, i.least = r.version, r.version
		return []item{i}
	case r.status == http.StatusCreated && q.method == http.MethodPut && !i.present && r.version > i.least,
		r.status == http.StatusNoContent && q.method != http.MethodGet && i.present && r.version > i.least:
		return []item{i.written(q, r.version)}
	}
	return nil
}

// mayHave reports whether an item that is there may be of a version.
func (i item) mayHave(version uint64) bool {
	return version == i.version || i.version == 0 && version >= i.least
}

// written is the item after a write has been made, as a version, which is 0 if it is not known.
func (i item) written(q request, version uint64) item {
	least := version
	if version == 0 {
		least = i.least + 1
	}
	if q.method == http.MethodDelete {
		return item{least: least}
	}
	written := item{present: true, value: q.value, version: version, least: least}
	if q.ttl > 0 {
		written.lapses = q.earlier + int64(q.ttl)
	}
	return written
}

// linearizable reports whether there is an order of the operations, in which each comes between its request and its response, such that
// all responses are those of a server that does one thing after another.
func linearizable(history []porcupine.Operation) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(model, history, time.Minute)
}

// The histories of servers that keep their promises are accepted, and those of servers that break one of them are not. Times are those
// of the request and of the response.
func TestModelTellsGoodFromBad(t *testing.T) {
	type op = porcupine.Operation
	at := func(call, end int64, q request, r response) op {
		q.key, q.earlier, r.later = "key", call, end
		return op{Call: call, Input: q, Return: end, Output: r}
	}
	get := func(call, end int64, value string, version uint64) op {
		if value == "" {
			return at(call, end, request{method: "GET"}, response{status: 404})
		}
		return at(call, end, request{method: "GET"}, response{status: 200, value: value, version: version})
	}
	put := func(call, end int64, value string, status int, version uint64) op {
		return at(call, end, request{method: "PUT", value: value}, response{status: status, version: version})
	}
	swap := func(call, end int64, value string, match uint64, status int, version uint64) op {
		return at(call, end, request{method: "PUT", value: value, match: match}, response{status: status, version: version})
	}
	lock := func(call, end int64, value string, status int, version uint64) op {
		return at(call, end, request{method: "PUT", value: value, absent: true}, response{status: status, version: version})
	}
	lapsing := func(call, end int64, value string, ttl time.Duration, version uint64) op {
		return at(call, end, request{method: "PUT", value: value, ttl: ttl}, response{status: 201, version: version})
	}
	remove := func(call, end int64, match uint64, status int, version uint64) op {
		return at(call, end, request{method: "DELETE", match: match}, response{status: status, version: version})
	}
	for _, c := range []struct {
		name    string
		good    bool
		history []op
	}{
		{"nothing", true, nil},
		{"a write is read", true, []op{put(1, 2, "a", 201, 1), get(3, 4, "a", 1)}},
		{"another value is read", false, []op{put(1, 2, "a", 201, 1), get(3, 4, "b", 1)}},
		{"another version is read", false, []op{put(1, 2, "a", 201, 1), get(3, 4, "a", 2)}},
		{"an acknowledged write is lost", false, []op{put(1, 2, "a", 201, 1), get(3, 4, "", 0)}},
		{"an acknowledged write is lost behind another", false, []op{put(1, 2, "a", 201, 1), put(3, 4, "b", 204, 2), get(5, 6, "a", 1)}},
		{"an acknowledged deletion is lost", false, []op{put(1, 2, "a", 201, 1), remove(3, 4, 0, 204, 2), get(5, 6, "a", 1)}},
		{"a deletion", true, []op{put(1, 2, "a", 201, 1), remove(3, 4, 0, 204, 2), get(5, 6, "", 0), put(7, 8, "b", 201, 3)}},
		{"what is not there is deleted", false, []op{remove(1, 2, 0, 204, 1)}},
		{"what is there is not found", false, []op{put(1, 2, "a", 201, 1), remove(3, 4, 0, 404, 0)}},
		{"what is not there is not found", true, []op{remove(1, 2, 0, 404, 0), get(3, 4, "", 0)}},
		{"a read at the same time sees it or not", true, []op{put(1, 9, "a", 201, 1), get(2, 3, "", 0), get(4, 5, "a", 1)}},
		{"a read sees it and the next one does not", false, []op{put(1, 9, "a", 201, 1), get(2, 3, "a", 1), get(4, 5, "", 0)}},
		{"a write of unknown result is made", true, []op{put(1, 2, "a", 0, 0), get(3, 4, "a", 7), get(5, 6, "a", 7)}},
		{"a write of unknown result is not made", true, []op{put(1, 2, "a", 0, 0), get(3, 4, "", 0)}},
		{"a write of unknown result is made after it can be", false, []op{put(1, 2, "a", 0, 0), get(3, 4, "", 0), get(5, 6, "a", 7)}},
		{"a write of unknown result is made and lost", false, []op{put(1, 9, "a", 0, 0), get(2, 3, "a", 1), get(4, 5, "", 0)}},
		{"a write of unknown result gets two versions", false, []op{put(1, 2, "a", 0, 0), get(3, 4, "a", 7), get(5, 6, "a", 8)}},
		{"a write of unknown result gets an old version", false, []op{put(1, 2, "a", 201, 5), put(3, 4, "b", 0, 0), get(5, 6, "b", 4)}},
		{"two writes of unknown result, in the other order", true, []op{put(1, 9, "a", 0, 0), put(1, 9, "b", 0, 0), get(2, 3, "b", 1), get(4, 5, "a", 2)}},
		{"a deletion of unknown result is made", true, []op{put(1, 2, "a", 201, 1), remove(3, 4, 0, 0, 0), get(5, 6, "", 0), put(7, 8, "b", 201, 3)}},
		{"a deletion of unknown result is not made", true, []op{put(1, 2, "a", 201, 1), remove(3, 4, 0, 0, 0), get(5, 6, "a", 1)}},
		{"versions stand still", false, []op{put(1, 2, "a", 201, 1), put(3, 4, "b", 204, 1)}},
		{"versions go back", false, []op{put(1, 2, "a", 201, 5), remove(3, 4, 0, 204, 6), put(5, 6, "b", 201, 3)}},
		{"one says that it is new, and it is not", false, []op{put(1, 2, "a", 201, 1), put(3, 4, "b", 201, 2)}},
		{"one says that it is not new, and it is", false, []op{put(1, 2, "a", 204, 1)}},
		{"compare and swap", true, []op{put(1, 2, "a", 201, 1), swap(3, 4, "b", 1, 204, 2), swap(5, 6, "c", 1, 412, 0), get(7, 8, "b", 2)}},
		{"two swap the same version", false, []op{put(1, 2, "a", 201, 1), swap(3, 9, "b", 1, 204, 2), swap(3, 9, "c", 1, 204, 3)}},
		{"a swap fails although the version is right", false, []op{put(1, 2, "a", 201, 1), swap(3, 4, "b", 1, 412, 0)}},
		{"a swap that failed is made", false, []op{put(1, 2, "a", 201, 2), swap(3, 4, "b", 1, 412, 0), get(5, 6, "b", 3)}},
		{"a swap of unknown result is made only if it holds", false, []op{put(1, 2, "a", 201, 2), swap(3, 4, "b", 1, 0, 0), get(5, 6, "b", 3)}},
		{"a swap finds what somebody wrote who was not told", true, []op{put(1, 2, "a", 0, 0), swap(3, 4, "b", 7, 204, 8)}},
		{"a swap finds an older version than there can be", false, []op{put(1, 2, "a", 201, 7), put(3, 4, "b", 0, 0), swap(5, 6, "c", 3, 204, 9)}},
		{"a deletion of the right version", true, []op{put(1, 2, "a", 201, 1), remove(3, 4, 1, 204, 2)}},
		{"a deletion of the wrong version", false, []op{put(1, 2, "a", 201, 2), remove(3, 4, 1, 204, 3)}},
		{"a deletion under a condition of what is not there", false, []op{remove(1, 2, 1, 404, 0)}},
		{"a lock is taken once", true, []op{lock(1, 9, "a", 201, 1), lock(1, 9, "b", 412, 0), get(10, 11, "a", 1)}},
		{"a lock is taken twice", false, []op{lock(1, 9, "a", 201, 1), lock(1, 9, "b", 201, 2)}},
		{"a lock that is free is refused", false, []op{lock(1, 2, "a", 412, 0)}},
		{"it is there until it lapses, and then not", true, []op{lapsing(1, 2, "a", 10, 1), get(9, 10, "a", 1), get(11, 12, "", 0), put(13, 14, "b", 201, 3)}},
		{"it lapses too early", false, []op{lapsing(1, 2, "a", 10, 1), get(9, 10, "", 0)}},
		{"it comes back after it has lapsed", false, []op{lapsing(1, 2, "a", 10, 1), get(11, 12, "", 0), get(13, 14, "a", 1)}},
		{"it was replaced, and lapses all the same", false, []op{lapsing(1, 2, "a", 10, 1), put(3, 4, "b", 204, 2), get(20, 21, "", 0)}},
		{"it lapses without a version of its own", false, []op{lapsing(1, 2, "a", 10, 1), get(11, 12, "", 0), put(13, 14, "b", 201, 2)}},
	} {
		want := porcupine.Illegal
		if c.good {
			want = porcupine.Ok
		}
		if got := linearizable(c.history); got != want {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
		slices.Reverse(c.history) // the order in which they are listed means nothing
		if got := linearizable(c.history); got != want {
			t.Errorf("%s, listed backwards: %v, want %v", c.name, got, want)
		}
	}
}

// What is wrong with one key is found among others where all is well.
func TestEachKeyIsLookedAt(t *testing.T) {
	var history []porcupine.Operation
	for i := range 20 {
		key := fmt.Sprint(i)
		history = append(history,
			porcupine.Operation{Call: 1, Input: request{method: "PUT", key: key, value: key}, Return: 2, Output: response{status: 201, version: uint64(i + 1), later: 2}},
			porcupine.Operation{Call: 3, Input: request{method: "GET", key: key, earlier: 3}, Return: 4, Output: response{status: 200, value: key, version: uint64(i + 1), later: 4}})
	}
	if got := linearizable(history); got != porcupine.Ok {
		t.Errorf("%v, want %v", got, porcupine.Ok)
	}
	history = append(history, porcupine.Operation{Call: 5, Input: request{method: "GET", key: "17", earlier: 5}, Return: 6, Output: response{status: 404, later: 6}})
	if got := linearizable(history); got != porcupine.Illegal {
		t.Errorf("with one that is lost: %v, want %v", got, porcupine.Illegal)
	}
}
