package main

import (
	"context"
	"errors"
	"io"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/tinyio-go/tinyio"
)

// host makes a guest of a run of main.
func host(ctx context.Context, main func(co *tinyio.Co, g *guest) error) (*guest, *tinyio.Runtime[tinyio.Void]) {
	var g *guest
	run := tinyio.Start(ctx, tinyio.NewLoop(), tinyio.Do(func(co *tinyio.Co) error { return main(co, g) }))
	g = newGuest(run.Steps())
	return g, run
}

// many starts n coroutines and waits for them.
func many(co *tinyio.Co, n int, one func(co *tinyio.Co) error) error {
	all := make([]tinyio.Awaitable, n)
	for i := range all {
		all[i] = tinyio.Do(one)
	}
	return co.Wait(all...)
}

// An update takes no more turns than it may, and no fewer as long as coroutines are ready.
func TestUpdateTakesSomeTurns(t *testing.T) {
	const coroutines, yields = 10_000, 3
	g, run := host(context.Background(), func(co *tinyio.Co, _ *guest) error {
		return many(co, coroutines, func(co *tinyio.Co) error {
			for range yields {
				if err := co.Yield(); err != nil {
					return err
				}
			}
			return nil
		})
	})
	updates, taken := 0, 0
	for {
		cmd, goesOn := g.update()
		if !goesOn {
			break
		}
		updates++
		if now := g.turns - taken; now != turnsInUpdate {
			t.Fatalf("update %d has taken %d turns, want %d", updates, now, turnsInUpdate)
		}
		taken = g.turns
		if _, ok := cmd().(turnMsg); !ok {
			t.Fatalf("update %d brings no turnMsg", updates)
		}
	}
	// The last turn is that of the first coroutine, whose children have ended: after it there is no pause.
	if want := 1 + coroutines*(1+yields); g.turns != want || updates != want/turnsInUpdate {
		t.Errorf("%d turns in %d updates, want %d in %d", g.turns, updates, want, want/turnsInUpdate)
	}
	if _, err := run.Result(); err != nil {
		t.Error(err)
	}
}

// A key is handled although 10,000 coroutines are ready all the time.
func TestKeyAmongBusyCoroutines(t *testing.T) {
	ctx, stop := context.WithCancelCause(context.Background())
	ended := 0
	g, run := host(ctx, func(co *tinyio.Co, _ *guest) error {
		return many(co, 10_000, func(co *tinyio.Co) error {
			defer func() { ended++ }()
			for {
				if err := co.Yield(); err != nil {
					return err
				}
			}
		})
	})
	keys, press := io.Pipe()
	defer press.Close()
	model := newScreen(ctx, stop, g, &batch{guest: g})
	program := tea.NewProgram(&pressing{model, press, 100}, tea.WithInput(keys), tea.WithOutput(io.Discard), tea.WithoutSignalHandler())
	if _, err := program.Run(); err != nil {
		t.Fatal(err)
	}
	g.leave()
	if _, err := run.Result(); !errors.Is(err, errInterrupted) {
		t.Errorf("the run ends with %v", err)
	}
	if ended != 10_000 || g.most != turnsInUpdate {
		t.Errorf("%d coroutines have cleaned up, and at most %d turns were taken in an update; want 10,000 and %d", ended, g.most, turnsInUpdate)
	}
}

// A pressing is a screen, with somebody who presses a key in an update.
type pressing struct {
	*screen
	keys    io.Writer
	updates int // until then
}

func (p *pressing) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	_, cmd := p.screen.Update(msg)
	if p.updates--; p.updates == 0 {
		cmd = tea.Batch(cmd, func() tea.Msg {
			_, err := p.keys.Write([]byte("\x03"))
			return err
		})
	}
	return p, cmd
}

// When Bubble Tea's loop has ended without running a command, everything stops all the same, and clean-up does its work.
func TestBubbleTeaHasGone(t *testing.T) {
	var order []string
	g, run := host(context.Background(), func(co *tinyio.Co, g *guest) error {
		defer func() {
			err := co.Shield(grace, func(co *tinyio.Co) error {
				v, err := command(g, func(error) { t.Error("the clean-up is interrupted") }, func() (string, error) { return "clean-up", nil }).Await(co)
				order = append(order, v)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}()
		_, err := command(g, func(error) { order = append(order, "interrupt") }, func() (int, error) {
			t.Error("the command runs")
			return 0, nil
		}).Await(co)
		return err
	})
	dropped, goesOn := g.update()
	if dropped == nil || !goesOn {
		t.Fatal("nothing waits for the command")
	}
	g.leave()
	if _, err := run.Result(); !errors.Is(err, tinyio.ErrAbandoned) {
		t.Errorf("the run ends with %v", err)
	}
	if len(order) != 2 || order[0] != "interrupt" || order[1] != "clean-up" {
		t.Errorf("it went %q, want interrupt and clean-up", order)
	}
}

// A command that panics, which is Bubble Tea's to report, leaves nobody waiting.
func TestCommandPanics(t *testing.T) {
	g, run := host(context.Background(), func(co *tinyio.Co, g *guest) error {
		_, err := command(g, func(error) {}, func() (int, error) { panic("ouch") }).Await(co)
		return err
	})
	cmd, _ := g.update()
	for _, c := range cmd().(tea.BatchMsg)[:1] {
		func() {
			defer func() {
				if p := recover(); p != "ouch" {
					t.Errorf("Bubble Tea hears of %v", p)
				}
			}()
			c()
		}()
	}
	if _, goesOn := g.update(); goesOn {
		t.Error("the run goes on")
	}
	if _, err := run.Result(); !errors.Is(err, errPanicked) {
		t.Errorf("the run ends with %v", err)
	}
}

// A panic of a coroutine comes out of the update, when everything has stopped.
func TestCoroutinePanics(t *testing.T) {
	stopped := false
	g, _ := host(context.Background(), func(co *tinyio.Co, _ *guest) error {
		other := tinyio.Do(func(co *tinyio.Co) error {
			defer func() { stopped = true }()
			return co.Sleep(grace)
		})
		if err := co.Spawn(other); err != nil {
			return err
		}
		panic("ouch")
	})
	defer func() {
		if p, ok := recover().(*tinyio.PanicError); !ok || p.Value != "ouch" || !stopped {
			t.Errorf("the update panics with %v; the other one has stopped: %t", p, stopped)
		}
		g.leave()
	}()
	for {
		if _, goesOn := g.update(); !goesOn {
			t.Fatal("it does not panic")
		}
	}
}
