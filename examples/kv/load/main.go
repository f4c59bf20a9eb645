// Command load compares the key-value server of package server with the one of package mutex, and with itself when it is recorded.
//
//	go run ./examples/kv/load
//
// Each runs in a process of its own, on a file of its own, and is asked for the same things over the same number of
// connections, which send their next request when they have the answer to the last. The two take turns, so that whatever else
// the machine does comes over both.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// options are what can be asked for on the command line.
type options struct {
	connections int
	keys        int
	duration    time.Duration
	rounds      int
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	var o options
	flags.IntVar(&o.connections, "connections", 256, "use this `number` of connections")
	flags.IntVar(&o.keys, "keys", 10_000, "the `number` of keys")
	flags.DurationVar(&o.duration, "duration", 2*time.Second, "how `long` a round lasts")
	flags.IntVar(&o.rounds, "rounds", 3, "the `number` of rounds for each server and each kind of load")
	only := flags.String("only", "", "make only the table with this `name`: figures, beside the mutex, or recorded, beside a server that is not")
	update := flags.String("update", "", "put the figures into this `file`, between the marks there")
	serve := flags.String("serve", "", "be one of the servers, with this `name` (for the program itself)")
	data := flags.String("data", "", "the `file` of that server, which otherwise keeps nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *serve != "" {
		return be(ctx, *serve, *data, stdout)
	}
	for _, t := range tables {
		if *only != "" && t.name != *only {
			continue
		}
		var figures bytes.Buffer
		if err := t.compare(ctx, o, &figures); err != nil {
			return err
		}
		if *update != "" {
			if err := t.replace(*update, figures.Bytes()); err != nil {
				return err
			}
		} else if _, err := figures.WriteTo(stdout); err != nil {
			return err
		}
	}
	return nil
}

// A comparison is a table of figures.
type comparison struct {
	name    string
	servers []string // the last is what the others are beside
	beside  string
}

var tables = []comparison{
	{"figures", []string{"tinyio", "mutex"}, "beside the mutex"},
	{"recorded", []string{"recorded", "tinyio"}, "beside one that is not"},
}

// compare puts every kind of load on the servers and writes the table of what came of it.
func (t *comparison) compare(ctx context.Context, o options, w io.Writer) error {
	names := t.servers
	fmt.Fprintf(w, "%d connections, %d keys of %d bytes, %d rounds of %v each; %s, %s/%s, %d processors.\n\n",
		o.connections, o.keys, len(value), o.rounds, o.duration, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	fmt.Fprintf(w, "| load | server | requests a second | %s | half within | 99%% within | 99.9%% within |\n", t.beside)
	fmt.Fprintln(w, "|---|---|---:|---:|---:|---:|---:|")
	for _, k := range kinds {
		results := make([]result, len(names))
		for round := range o.rounds {
			for n := range names { // who comes first changes
				i := (round + n) % len(names)
				name := names[i]
				if err := results[i].measure(ctx, name, k, o); err != nil {
					return fmt.Errorf("%s, %s: %w", k.name, name, err)
				}
			}
		}
		for i, name := range names {
			r := &results[i]
			fmt.Fprintf(w, "| %s | %s | %.0f | %.2f | %v | %v | %v |\n", k.name, name, r.rate(), r.beside(&results[len(results)-1]),
				r.quantile(0.5), r.quantile(0.99), r.quantile(0.999))
		}
	}
	return nil
}

// replace puts figures into a file, between the marks with the name of t.
func (t *comparison) replace(name string, figures []byte) error {
	begin, end := []byte("<!-- "+t.name+" -->\n"), []byte("<!-- end of "+t.name+" -->\n")
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(text, begin)
	_, after, ok2 := bytes.Cut(rest, end)
	if !ok || !ok2 {
		return errors.New("there are no marks in " + name)
	}
	return os.WriteFile(name, bytes.Join([][]byte{before, begin, figures, end, after}, nil), 0o644)
}
