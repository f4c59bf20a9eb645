package debug_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/debug"
)

// textPage asks for the page as text, and leaves out what differs from run to run, and of a stack what is not the program's.
func textPage(query string) string {
	w := httptest.NewRecorder()
	debug.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/tinyio"+query, nil))
	var b strings.Builder
	for line := range strings.Lines(w.Body.String()) {
		if stack, ok := strings.CutPrefix(line, "    "); ok && stack[0] != '#' && stack[0] != ' ' {
			function := stack[strings.LastIndexByte(stack[:max(strings.LastIndexByte(stack, '('), 0)], '/')+1:]
			if stack[0] == '\t' || !strings.HasSuffix(stack, ")\n") || regexp.MustCompile(`^(tinyio|stack|iter)\.`).MatchString(function) {
				continue
			}
			line = "    " + function[:strings.LastIndexByte(function, '(')] + "\n"
		}
		b.WriteString(line)
	}
	return strings.TrimSpace(regexp.MustCompile(`\b\d+(\.\d+)?(ms|s)\b`).ReplaceAllString(plain(b.String()), "1.2s"))
}

func Example() {
	reading, asked := make(chan tinyio.Void), make(chan tinyio.Void)
	read := tinyio.RunInThread(func(context.Context) (string, error) {
		close(reading)
		<-asked // stands for a slow file
		return "db.example", nil
	}).Named("read config")
	config := tinyio.New(func(co *tinyio.Co) (string, error) { return read.Await(co) }).Named("config")
	part := func(name string) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error { return co.Wait(config) }).Named(name)
	}
	main := tinyio.Do(func(co *tinyio.Co) error {
		looks := tinyio.RunInThread(func(context.Context) (string, error) {
			defer close(asked)
			<-reading
			return textPage("?debug=1"), nil // stands for somebody who opens the page
		}).Named("looks")
		if err := co.Wait(part("users"), part("orders"), looks); err != nil {
			return err
		}
		fmt.Println(looks.Value())
		return nil
	}).Named("main")
	if _, err := tinyio.Run(context.Background(), main); err != nil {
		fmt.Println(err)
	}
	// Output:
	// run N: main, for 1.2s
	//   it waits
	//   live 6, ready 0, threads 2, timers 0; started 6, finished 0, failed 0, turns 6
	//   #0 main: waiting for a coroutine at example_test.go
	//     #1 users: waiting for a coroutine at example_test.go
	//       #4 config: waiting for a coroutine at example_test.go
	//         #5 read config: waiting for a thread or callback at example_test.go
	//     #2 orders: waiting for a coroutine at example_test.go
	//       #4 config: waiting for a coroutine at example_test.go (see above)
	//     #3 looks: waiting for a thread or callback at example_test.go
}

func Example_stuck() {
	asked, reply := make(chan tinyio.Void), make(chan string)
	report := tinyio.Do(func(co *tinyio.Co) error {
		close(asked)
		fmt.Println(<-reply) // instead of tinyio.Recv
		return nil
	}).Named("report")
	ended := make(chan tinyio.Void)
	go func() {
		defer close(ended)
		tinyio.Run(context.Background(), tinyio.Do(func(co *tinyio.Co) error { return co.Wait(report) }).Named("main"))
	}()
	<-asked
	fmt.Println(textPage("?debug=1"))
	reply <- "at last"
	<-ended
	// Output:
	// run N: main, for 1.2s
	//   STUCK: the turn of report has lasted 1.2s
	//   live 2, ready 0, threads 0, timers 0; started 2, finished 0, failed 0, turns 2
	//   TIO1 report has been blocked for 1.2s: chan receive
	//     debug_test.Example_stuck.func1
	// at last
}

func ExampleHandler() {
	mux := http.NewServeMux()
	mux.Handle("/internal/loops", debug.Handler())
}

func ExampleWriteText() {
	debug.WriteText(context.Background(), os.Stderr)
}
