package main

import (
	"context"
	"fmt"
	"strings"

	"charm.land/bubbles/v2/progress"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// A screen is the model of the Bubble Tea program.
type screen struct {
	guest         *guest
	batch         *batch
	ctx           context.Context // of the run
	stop          context.CancelCauseFunc
	width, height int
	bar           progress.Model
}

func newScreen(ctx context.Context, stop context.CancelCauseFunc, g *guest, b *batch) *screen {
	return &screen{
		guest: g, batch: b, ctx: ctx, stop: stop, width: 80, height: 24,
		bar: progress.New(progress.WithFillCharacters('█', '░')),
	}
}

func (s *screen) Init() tea.Cmd { return func() tea.Msg { return turnMsg{} } }

// Update takes turns when it is time to. That the user wants to leave is no more than the end of a context: the run hears of it from
// that, and Bubble Tea leaves when the run has ended.
func (s *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case turnMsg:
		cmd, goesOn := s.guest.update()
		if !goesOn {
			return s, tea.Quit
		}
		return s, cmd
	case tea.WindowSizeMsg:
		s.width, s.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		switch msg.String() {
		case "ctrl+c", "q":
			if s.ctx.Err() != nil { // the second time
				return s, tea.Interrupt
			}
			s.stop(errInterrupted)
		}
	}
	return s, nil
}

func (s *screen) View() tea.View {
	v := tea.NewView(strings.Join(s.lines(), "\n"))
	v.AltScreen = true
	return v
}

// lines are what the screen shows: how far all of it is, a map of all downloads, and those that run.
func (s *screen) lines() []string {
	b := s.batch
	end := "ctrl+c stops, cleans up and leaves"
	if s.ctx.Err() != nil {
		end = "stopping, ctrl+c leaves at once"
	}
	all := []string{"", s.row(b.summary(), fmt.Sprintf("%d turns in %d updates", s.guest.turns, s.guest.updates)), ""}
	all = append(all, s.gauge(b.progress(0, len(b.downloads)), s.width-2), "")
	all = append(all, s.overview()...)
	all = append(all, "")
	for _, d := range b.downloads {
		if len(all) >= s.height-2 {
			break
		}
		if d.state == running {
			all = append(all, s.running(d))
		}
	}
	for len(all) < s.height-1 {
		all = append(all, "")
	}
	all = append(all, s.row(end, ""))
	return all[:min(len(all), s.height)]
}

// row is a line with something at its left and something at its right.
func (s *screen) row(left, right string) string {
	space := max(1, s.width-2-ansi.StringWidth(left)-ansi.StringWidth(right))
	return ansi.Truncate(" "+left+strings.Repeat(" ", space)+right, s.width, "…")
}

// gauge is a bar so many columns wide.
func (s *screen) gauge(part float64, width int) string {
	s.bar.SetWidth(max(10, width))
	return " " + s.bar.ViewAs(part)
}

// running is the line of a download.
func (s *screen) running(d *download) string {
	name := ansi.Truncate(d.name, max(8, s.width/3), "…")
	name += strings.Repeat(" ", max(0, s.width/3-ansi.StringWidth(name)))
	rate := fmt.Sprintf(" %10s/s", bytes(d.rate))
	return " " + name + s.gauge(d.progress(), s.width-4-ansi.StringWidth(name)-len(rate)) + rate
}

// overview shows every download as one letter, or several by one if there are too many for a third of the screen.
func (s *screen) overview() (lines []string) {
	width, n := max(1, s.width-2), len(s.batch.downloads)
	cells := max(1, s.height/3) * width
	each := (n + cells - 1) / cells
	var line strings.Builder
	for i := 0; i < n; i += each {
		if i > 0 && i/each%width == 0 {
			lines = append(lines, " "+line.String())
			line.Reset()
		}
		line.WriteRune(s.batch.letter(i, min(n, i+each)))
	}
	return append(lines, " "+line.String())
}

// levels are the letters for how far a download is.
var levels = []rune("·▁▂▃▄▅▆▇█")

// letter stands for some of the downloads.
func (b *batch) letter(from, to int) rune {
	for _, d := range b.downloads[from:to] {
		if d.state == failed {
			return '✗'
		}
	}
	return levels[int(b.progress(from, to)*float64(len(levels)-1))]
}

// progress is how far some of the downloads are, from 0 to 1.
func (b *batch) progress(from, to int) (part float64) {
	for _, d := range b.downloads[from:to] {
		part += d.progress()
	}
	return part / float64(max(1, to-from))
}

// progress is how far d is, from 0 to 1. What has failed gets no further, and so is at its end.
func (d *download) progress() float64 {
	switch {
	case d.state == whole || d.state == failed:
		return 1
	case d.state == running && d.size > 0:
		return min(1, float64(d.got)/float64(d.size))
	}
	return 0
}

// summary is one line about all downloads.
func (b *batch) summary() string {
	s := fmt.Sprintf("%d of %d downloaded", b.counts[whole], len(b.downloads))
	if n := b.counts[failed]; n > 0 {
		s += fmt.Sprintf(", %d failed", n)
	}
	if n := b.counts[stopped]; n > 0 {
		s += fmt.Sprintf(", %d stopped", n)
	}
	return s
}

// bytes is a number of bytes with its unit.
func bytes(n float64) string {
	for _, unit := range []string{"B", "kB", "MB"} {
		if n < 1000 {
			return fmt.Sprintf("%.3g %s", n, unit)
		}
		n /= 1000
	}
	return fmt.Sprintf("%.3g GB", n)
}
