//go:build unix

package tinyioexec_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyioexec"
)

// A command that takes too long is told to stop, with all that it has started, and its output is kept.
func ExampleRun() {
	main := tinyio.Do(func(co *tinyio.Co) error {
		var out strings.Builder
		cmd := exec.Command("sh", "-c", "echo hello; (sleep 3600; echo never) | cat")
		cmd.Stdout = &out
		_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
			return tinyioexec.Run(co, cmd, 5*time.Second)
		}), 200*time.Millisecond)
		fmt.Print(out.String())
		fmt.Println("too late:", errors.Is(err, tinyio.ErrTimeout), cmd.ProcessState)
		return co.Err()
	})
	_, err := tinyio.Run(context.Background(), main)
	fmt.Println(err)
	// Output:
	// hello
	// too late: true signal: terminated
	// <nil>
}

// What a command writes is taken as it comes.
func ExampleLines() {
	main := tinyio.Do(func(co *tinyio.Co) error {
		lines := tinyio.NewQueue[tinyioexec.Line](10)
		printer := co.Go(func(co *tinyio.Co) error {
			for line, err := range lines.All(co) {
				if err != nil {
					return err
				}
				fmt.Println("it says:", line.Text)
			}
			return nil
		})
		cmd := exec.Command("sh", "-c", "echo one; echo two >&2; exit 3")
		err := tinyioexec.Lines(co, cmd, 5*time.Second, lines)
		lines.Close()
		if err := co.Wait(printer); err != nil {
			return err
		}
		var exit *exec.ExitError
		fmt.Println(err, errors.As(err, &exit))
		return nil
	})
	_, err := tinyio.Run(context.Background(), main)
	fmt.Println(err)
	// Output:
	// it says: one
	// it says: two
	// exit status 3 true
	// <nil>
}
