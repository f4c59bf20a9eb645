package durable

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/internal/gate"
)

// A line of a tape is what encoding/json makes of it.
func TestLineOfATape(t *testing.T) {
	some := func(n int64) int64 { return rand.Int64N(2) * rand.Int64N(n) }
	for range 1000 {
		e := &event{
			Turn: uint64(some(1e9)), Pass: int(some(9)), Read: uint64(some(1e9)), At: some(2e18), Coro: tinyio.ID(some(1e6)), Number: uint32(some(1e9)),
			How: gate.How(some(3)), Starter: tinyio.ID(some(1e6)), Deadline: some(2e18),
			Kind: []eventKind{timePassed, cameBack, submitted, notKept}[rand.IntN(4)],
			Name: []string{"", "plain", "main.(*T).f", `"quoted"`, "a<b", "Größe", "tab\t"}[rand.IntN(7)],
		}
		if some(2) == 1 {
			e.Value = json.RawMessage(`{"a":[1,"b"]}`)
		}
		if some(2) == 1 {
			e.Err = &failure{Text: "text"}
		}
		if some(2) == 1 {
			e.Format, e.UTC = tapeFormat, true
		}
		want, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.appendTo([]byte("before "))
		if err != nil || string(got) != "before "+string(want) {
			t.Fatalf("it is\n%s, %v, want\n%s", got, err, want)
		}
	}
}
