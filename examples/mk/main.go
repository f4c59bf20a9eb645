// Command mk makes files from other files, as make does, several at a time.
//
//	go run ./examples/mk -f mkfile -j 4 prog
//
// The file says what depends on what, and by which commands it is made; see README.md. What is up to date is left alone. When a
// command fails, those that are running are asked to stop, and what they have half made is removed.
//
// The exit status is 0 if everything is up to date in the end, 1 if something could not be made, 2 if the file or the
// command line is not right, and 130 if the program was interrupted.
//
// It is also an example of a program on tinyio. What to look at:
//
//   - A target is a [tinyio.Coro], made once (graph.go). However many others depend on it, it is made once, and they all get its
//     version. There is no scheduler: everybody waits for what they need.
//   - Nobody looks for cycles, or keeps track of who wanted what. [tinyio.CycleError] names the targets that wait for each other,
//     and the trace of a [tinyio.Error] those that led to the one that failed.
//   - A command is a call of package tinyioexec, which stops it with the coroutine, and all that it has started (run.go). A
//     [tinyio.Semaphore] bounds how many there are (build.go).
//   - Whatever ends a run early, a command that fails or an interrupt, does so in the same way: [tinyio.Run] stops every command,
//     waits until it has stopped, and returns. Nothing runs any more that could change what is then saved.
//   - The live view and the records of what was made are plain structs and maps that all coroutines share (progress.go,
//     version.go).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"runtime"
	"syscall"
	"time"

	"github.com/tinyio-go/tinyio"
)

// The exit statuses.
const (
	exitFine        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as of a shell command that was ended by SIGINT
)

// stateFile is where it is kept from one run to the next how targets were made.
const stateFile = ".mk.json"

func main() {
	// Further signals change nothing: commands that do not stop by themselves are killed before long, and without this program
	// nobody would do it.
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as it is under nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	defer stop()
	// When nobody reads the output any more, the next write to it is to have an error, which stops the commands, and not to end the program.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are what the command line says.
type options struct {
	file  string
	n     int
	dry   bool
	hash  bool
	grace time.Duration
	goals []string
}

// run is the program. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, opts ...tinyio.Option) int {
	var o options
	flags := flag.NewFlagSet("mk", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.file, "f", "mkfile", "read the rules from this `file`")
	flags.IntVar(&o.n, "j", runtime.NumCPU(), "run the commands of at most `N` targets at once")
	flags.BoolVar(&o.dry, "n", false, "print the commands and do not run them")
	flags.BoolVar(&o.hash, "hash", false, "go by contents and commands, and not by the times of files")
	flags.DurationVar(&o.grace, "grace", 5*time.Second, "kill commands that have been asked to stop after this `long`")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: mk [flags] [target...]")
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp:
		return exitFine
	case err != nil:
		return exitUsage
	case o.n < 1 || o.grace <= 0:
		flags.Usage()
		return exitUsage
	}
	for _, goal := range flags.Args() {
		o.goals = append(o.goals, path.Clean(goal))
	}
	return o.run(ctx, stdout, stderr, opts)
}

func (o *options) run(ctx context.Context, stdout, stderr io.Writer, opts []tinyio.Option) int {
	fail := func(status int, problem any) int {
		fmt.Fprintln(stderr, "mk:", problem)
		return status
	}
	source, err := os.ReadFile(o.file)
	if err != nil {
		return fail(exitUsage, err)
	}
	f, err := parse(o.file, string(source))
	if err != nil {
		return fail(exitUsage, err)
	}
	if len(o.goals) == 0 {
		o.goals = []string{f.first}
	}
	total, err := plan(ctx, f, o.goals)
	if err != nil && ctx.Err() == nil {
		return fail(exitUsage, explain(f, err))
	}

	v := &view{w: stdout, live: isTerminal(stdout), total: total}
	err = o.build(ctx, f, v, opts)
	switch {
	case err == nil && v.ran == 0:
		fmt.Fprintln(stdout, "mk: nothing to do")
		return exitFine
	case err == nil:
		return exitFine
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return fail(exitInterrupted, fmt.Sprint("interrupted: ", err))
	}
	return fail(exitFailed, explain(f, err))
}

// build makes the goals. What was made is taken down, also when something else was not.
func (o *options) build(ctx context.Context, f *mkfile, v *view, opts []tinyio.Option) error {
	s, err := loadState(stateFile)
	if err == nil {
		err = s.doubt(f)
	}
	if err != nil {
		return err
	}
	b := &builder{
		judge: s.judge(o.hash), begin: func() error { return s.begin(stateFile) },
		places: tinyio.NewSemaphore(o.n), grace: o.grace, dryRun: o.dry, view: v,
	}
	err = b.build(ctx, f, o.goals, opts...)
	if s.Begun.IsZero() { // no command has run
		return err
	}
	s.Begun = time.Time{}
	return errors.Join(err, s.save(stateFile))
}
