package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// A progress is a bar on a terminal, and nothing elsewhere.
type progress struct{ bar *progressbar.ProgressBar }

func newProgress(w io.Writer) progress {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return progress{}
	}
	return progress{progressbar.NewOptions(1,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription("links"),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetWidth(40),
		progressbar.OptionThrottle(50*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)}
}

// show draws the bar. A bar that was full once is never drawn again; there must be more to expect than is done until the end.
func (p progress) show(done, expected int) {
	if p.bar != nil {
		p.bar.ChangeMax(expected)
		p.bar.Set(done)
	}
}

// clear takes the bar away.
func (p progress) clear() {
	if p.bar != nil {
		p.bar.Clear()
	}
}
