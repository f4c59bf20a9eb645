package tinyioexec

import (
	"errors"
	"io"
	"os"
	"time"
)

// An output is a pipe into which a command writes, and from which that is copied to a writer.
type output struct {
	to           io.Writer
	ours, theirs *os.File
	ended        chan struct{} // closed when all has been copied
	held         bool          // from then on: somebody had it open still
	err          error         // from then on: of the writer
}

func newOutput(to io.Writer) (*output, error) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &output{to: to, ours: ours, theirs: theirs, ended: make(chan struct{})}, nil
}

// needsPipe reports whether what is meant for w has to be copied to it.
func needsPipe(w io.Writer) bool {
	_, isFile := w.(*os.File)
	return w != nil && !isFile
}

// same reports whether two writers are the same one. Those that cannot be compared are not.
func same(a, b io.Writer) (same bool) {
	defer func() { _ = recover() }()
	return a == b
}

// lastBytes is more than a pipe can hold: who reads that much after the command has ended has read all that was in it by then.
const lastBytes = 1 << 20

// copy copies everything, until nobody can write any more or until finish has been called and the pipe is empty. When it has ended,
// whoever writes gets an error.
func (o *output) copy() {
	defer close(o.ended)
	defer o.ours.Close()
	buffer := make([]byte, 32<<10)
	finishing := false
	for last := 0; last < lastBytes; {
		var n int
		var err error
		if !finishing {
			n, err = o.ours.Read(buffer)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				finishing = true
				continue
			}
		} else {
			n, err = readNow(o.ours, buffer)
			last += n
		}
		if n > 0 {
			if _, o.err = o.to.Write(buffer[:n]); o.err != nil {
				return
			}
		}
		if err != nil {
			o.held = err != io.EOF
			return
		}
	}
	o.held = true
}

// finish has copy end when it has copied what is in the pipe.
func (o *output) finish() {
	if err := o.ours.SetReadDeadline(time.Unix(1, 0)); errors.Is(err, os.ErrNoDeadline) {
		o.ours.Close()
	}
}
