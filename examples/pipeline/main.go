// Command pipeline takes personal data out of records, which are lines of JSON.
//
//	go run ./examples/pipeline -hash ip,user.email -drop password -o clean.jsonl access.jsonl
//	tail -f access.jsonl | go run ./examples/pipeline -hash ip
//
// See README.md for what it does and how.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"github.com/tinyio-go/tinyio"
)

// The exit statuses.
const (
	exitFine        = 0
	exitFailed      = 1   // the output has not been written
	exitUsage       = 2   // nothing could be done
	exitInterrupted = 130 // as of a shell command that was ended by SIGINT
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // whoever is impatient and interrupts again is obeyed at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program. It returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("pipeline", flag.ContinueOnError)
	flags.SetOutput(stderr)
	hash := flags.String("hash", "", "replace the values of these `fields` by hashes; user.email is a field of a field")
	drop := flags.String("drop", "", "leave these `fields` out")
	keyFile := flags.String("key", "", "make the hashes with the key in this `file`, and not with a new one")
	name := flags.String("o", "", "write to this `file`, when all has been read, and not to the standard output")
	skip := flags.Bool("skip", false, "leave out the lines that are no JSON objects, instead of failing")
	size := flags.Int("batch", 100, "work on batches of `N` records")
	wait := flags.Duration("wait", 200*time.Millisecond, "begin with a smaller batch when a record has waited for this `long`")
	workers := flags.Int("workers", runtime.GOMAXPROCS(0), "work on `N` batches at once")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: pipeline [flags] [file...]")
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp:
		return exitFine
	case err != nil:
		return exitUsage
	case *size < 1 || *wait < 0 || *workers < 1:
		flags.Usage()
		return exitUsage
	}

	key := []byte(rand.Text())
	if *keyFile != "" {
		var err error
		if key, err = os.ReadFile(*keyFile); err != nil {
			fmt.Fprintln(stderr, "pipeline:", err)
			return exitUsage
		}
	}
	inputs := []input{{"standard input", func() (io.ReadCloser, error) { return io.NopCloser(stdin), nil }}}
	if flags.NArg() > 0 {
		inputs = nil
		for _, name := range flags.Args() {
			inputs = append(inputs, input{name, func() (io.ReadCloser, error) { return os.Open(name) }})
		}
	}
	out, err := openOutput(*name, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "pipeline:", err)
		return exitUsage
	}
	defer out.discard()

	readCtx, stop := context.WithCancel(ctx)
	defer stop()
	r := &redactor{key: key, hash: paths(*hash), drop: paths(*drop)}
	p := newPipeline(*size, *wait, *workers, read(readCtx, inputs), r.redact, out)
	if *skip {
		p.leaveOut = func(err error) error {
			_, e := fmt.Fprintln(stderr, "pipeline: left out:", err)
			return e
		}
	}
	_, err = tinyio.Run(ctx, tinyio.Do(p.run).Named("pipeline"))
	if err == nil {
		err = out.commit() // nothing runs any more, so nothing can go wrong but this
	}
	switch {
	case err == nil:
		fmt.Fprintf(stderr, "pipeline: %d records in %d batches, and %d left out\n", p.records, p.batches, p.bad)
		return exitFine
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		fmt.Fprintln(stderr, "pipeline: interrupted")
		return exitInterrupted
	}
	fmt.Fprintln(stderr, "pipeline:", err)
	return exitFailed
}

// An output is a file that is there when it has been committed, with all that was written, and not before; or the standard
// output.
type output struct {
	io.Writer
	file *renameio.PendingFile
}

func openOutput(name string, stdout io.Writer) (output, error) {
	if name == "" {
		return output{Writer: stdout}, nil
	}
	f, err := renameio.NewPendingFile(name, renameio.WithTempDir(filepath.Dir(name)),
		renameio.WithPermissions(0o666), renameio.WithExistingPermissions())
	return output{f, f}, err
}

func (o output) commit() error {
	if o.file == nil {
		return nil
	}
	return o.file.CloseAtomicallyReplace()
}

// discard lets the file be as it was, unless it has been committed.
func (o output) discard() {
	if o.file != nil {
		o.file.Cleanup()
	}
}

// paths are the fields of a list, each as the names that lead to it.
func paths(list string) (all [][]string) {
	for field := range strings.SplitSeq(list, ",") {
		if field != "" {
			all = append(all, strings.Split(field, "."))
		}
	}
	return all
}
