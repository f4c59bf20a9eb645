package main

import (
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// want is the output, with the text of the line of source in place of each position.
const want = `elapsed: 1s
sums: [4 5], error: <nil>

waitAnHour: tinyio: cancelled because of: division by zero
elapsed: 1s
error: division by zero

the same error with its chain: division by zero

await chain, from the first coroutine to the one that failed:
report, in main.run.func2
	return co.Wait(average(), waitAnHour(w))
average, in main.average.func1
	return slowDivide(sum, len(xs)).Await(co)
slowDivide, in main.slowDivide.func1
	return tinyio.New(func(co *tinyio.Co) (int, error) {

what the others were doing:
	waitAnHour: waiting for a timer at err := co.Sleep(time.Hour)
`

// TestOutput runs the program in virtual time, where the seconds that it sleeps cost nothing, and one more or less would show.
func TestOutput(t *testing.T) {
	before := runtime.NumGoroutine()
	var b strings.Builder
	run(&b, tinyio.WithVirtualTime())

	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(source), "\n")
	got := regexp.MustCompile(`\S*/main\.go:(\d+)`).ReplaceAllStringFunc(b.String(), func(position string) string {
		n, err := strconv.Atoi(position[strings.LastIndex(position, ":")+1:])
		if err != nil || n > len(lines) {
			return position
		}
		return strings.TrimSpace(lines[n-1])
	})
	// In a test, package main goes by its path.
	got = strings.ReplaceAll(got, "github.com/tinyio-go/tinyio/examples/quickstart.", "main.")
	if got != want {
		t.Errorf("the program wrote:\n%s\nwant:\n%s", got, want)
	}

	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left, there were %d before", runtime.NumGoroutine(), before)
		}
	}
}
