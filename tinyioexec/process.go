package tinyioexec

import (
	"errors"
	"io"
	"os/exec"
	"sync"
	"time"
)

// errStopped is the result of a process that was stopped before it had ended.
var errStopped = errors.New("tinyioexec: the command was stopped")

// killPatience is how long processes may take to be gone that have been killed. Longer take those that the system does not let go,
// because of a device or a network file system.
const killPatience = 2 * time.Second

// A process is a command that has been started.
type process struct {
	cmd     *exec.Cmd
	grace   time.Duration
	tree    *tree
	outputs []*output

	stopOnce sync.Once
	stopping chan struct{} // closed when it is to stop
	gone     chan struct{} // closed when it has ended, and so have those who had to
	copied   chan struct{} // closed when its output has come to an end
	over     chan struct{} // closed when all is over
	err      error         // from then on: how it has ended
}

func start(cmd *exec.Cmd, grace time.Duration) (*process, error) {
	p := &process{
		cmd:      cmd,
		grace:    max(grace, 0),
		stopping: make(chan struct{}),
		gone:     make(chan struct{}),
		copied:   make(chan struct{}),
		over:     make(chan struct{}),
	}
	if cmd.WaitDelay <= 0 {
		cmd.WaitDelay = max(p.grace, 1) // which is also for a Stdin that does not come to an end; 0 would be for ever
	}
	stdout, stderr := cmd.Stdout, cmd.Stderr
	err := p.redirect()
	if err == nil {
		p.tree = newTree(cmd)
		err = cmd.Start()
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	for _, o := range p.outputs {
		o.theirs.Close()
		if err != nil {
			o.ours.Close()
		}
	}
	if err != nil {
		return nil, err
	}
	p.tree.started()
	for _, o := range p.outputs {
		go o.copy()
	}
	go func() {
		for _, o := range p.outputs {
			<-o.ended
		}
		close(p.copied)
	}()
	go p.supervise()
	return p, nil
}

// redirect has the command write into pipes of ours. Those of package exec are closed when WaitDelay has passed, and what is in them
// then is lost, if a writer has been slow.
func (p *process) redirect() error {
	stdout, stderr := p.cmd.Stdout, p.cmd.Stderr
	for _, stream := range []*io.Writer{&p.cmd.Stdout, &p.cmd.Stderr} {
		if stream == &p.cmd.Stderr && stdout != nil && same(stdout, stderr) {
			p.cmd.Stderr = p.cmd.Stdout
			return nil
		}
		if !needsPipe(*stream) {
			continue
		}
		o, err := newOutput(*stream)
		if err != nil {
			return err
		}
		p.outputs = append(p.outputs, o)
		*stream = o.theirs
	}
	return nil
}

// stop has the process stopped. It does not wait for that.
func (p *process) stop() { p.stopOnce.Do(func() { close(p.stopping) }) }

// wait waits until all is over, and has the process stopped when done is closed.
func (p *process) wait(done <-chan struct{}) error {
	select {
	case <-p.over:
	case <-done:
		p.stop()
		<-p.over
	}
	return p.err
}

// supervise sees the process to its end.
func (p *process) supervise() {
	defer close(p.over)
	var status error
	exited := make(chan struct{})
	go func() {
		status = p.cmd.Wait()
		close(exited)
	}()
	p.err = p.untilTheEnd(exited, &status)
	if p.err != nil {
		p.end(exited)
	}
	close(p.gone)
	for _, o := range p.outputs {
		o.finish()
	}
	<-p.copied
}

// untilTheEnd waits until the process has ended and its output has come, or until it is to stop, and returns what came of it.
func (p *process) untilTheEnd(exited <-chan struct{}, status *error) error {
	select {
	case <-exited:
	case <-p.stopping:
		select {
		case <-exited: // before it got the signal
		default:
			return errStopped
		}
	}
	held := time.NewTimer(p.cmd.WaitDelay)
	defer held.Stop()
	select {
	case <-p.copied:
	case <-p.stopping:
	case <-held.C:
		// Either somebody holds the output, or the writers are slow. In the latter case all of it is waited for.
		for _, o := range p.outputs {
			o.finish()
		}
		select {
		case <-p.copied:
		case <-p.stopping:
		}
	}
	if *status != nil {
		return *status
	}
	select {
	case <-p.copied:
	default:
		return errStopped
	}
	for _, o := range p.outputs {
		if o.err != nil {
			return o.err
		}
	}
	for _, o := range p.outputs {
		if o.held {
			return exec.ErrWaitDelay
		}
	}
	return nil
}

// end stops whoever is left of the process, and returns when the process itself has ended and nobody is left who can be found.
func (p *process) end(exited <-chan struct{}) {
	p.tree.terminate()
	grace := time.NewTimer(p.grace)
	defer grace.Stop()
	select {
	case <-exited:
		if p.untilNone(p.tree.alive, grace.C) {
			return
		}
	case <-grace.C:
	}
	patience := time.NewTimer(killPatience)
	defer patience.Stop()
	p.untilNone(p.tree.kill, patience.C)
	<-exited
}

// untilNone asks again and again whether somebody is left, and reports whether at some time nobody was. The system does not tell when a
// process ends that is no child of this one.
func (p *process) untilNone(left func() bool, tooLate <-chan time.Time) bool {
	for pause := time.Millisecond; left(); pause = min(2*pause, 50*time.Millisecond) {
		select {
		case <-tooLate:
			return false
		case <-time.After(pause):
		}
	}
	return true
}
