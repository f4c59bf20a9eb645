// Command agents has a team of agents write a report. The model that they ask is a fake: it plays a script.
//
//	go run ./examples/agents
//	go run ./examples/agents -budget 40
//
// The words are printed as they come. A line with the name of a task on standard input stops that task, while the others go on.
//
// It is an example of a program on tinyio: see team.go. The package groups has the same team with an errgroup and channels,
// and the tests run against both. docs/comparison.md puts them side by side.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/examples/agents/agent"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // the next interrupt ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program. It returns the exit status. It leaves a goroutine behind that reads stdin, until that ends.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, opts ...tinyio.Option) int {
	flags := flag.NewFlagSet("agents", flag.ContinueOnError)
	flags.SetOutput(stderr)
	budget := flags.Int("budget", 1000, "spend at most `N` tokens")
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp:
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0 || *budget < 0:
		flags.Usage()
		return 2
	}
	team := NewTeam(fake{agent.NewModel(script)}, stdout, *budget, opts...)
	go func() {
		for lines := bufio.NewScanner(stdin); lines.Scan(); {
			if err := team.Stop(ctx, lines.Text()); err != nil {
				fmt.Fprintln(stderr, "agents:", err)
			}
		}
	}()
	results, err := team.Run(ctx, "report")
	if err != nil {
		fmt.Fprintf(stderr, "\nagents: %v\n", err)
		return 1
	}
	fmt.Fprintf(stdout, "\n\n%s\n", results[0])
	return 0
}

// A fake is a model that plays a script and waits on the loop meanwhile.
type fake struct{ *agent.Model }

func (f fake) Reply(co *tinyio.Co, task string, known []string, emit func(token string) error) (agent.Reply, error) {
	return f.Play(task, known, co.Sleep, emit)
}

// script is what the model says.
var script = map[string][]agent.Step{
	"report": {
		{Says: "I shall need to know about goroutines and coroutines.", Takes: 90 * time.Millisecond,
			Needs: []string{"goroutines", "coroutines"}},
		{Says: "Both have their uses.", Takes: 90 * time.Millisecond},
	},
	"goroutines": {
		{Says: "First, what is scheduling?", Takes: 110 * time.Millisecond, Needs: []string{"scheduling"}},
		{Says: "The runtime schedules goroutines on all processors.", Takes: 110 * time.Millisecond},
	},
	"coroutines": {
		{Says: "I have to look up", Takes: 130 * time.Millisecond, Fails: errOverloaded},
		{Says: "First, what is scheduling?", Takes: 130 * time.Millisecond, Needs: []string{"scheduling"}},
		{Says: "Coroutines take turns, where they wait.", Takes: 130 * time.Millisecond},
	},
	"scheduling": {
		{Says: "Scheduling decides who goes on next, and for how long.", Takes: 250 * time.Millisecond},
	},
}

var errOverloaded = errors.New("the model is overloaded")
