package debug

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func escape(s string) string { return html.EscapeString(s) }

// glance is a view without a look: only what is there at once.
func (r *run) glance() *view {
	v := &view{Run: r.number, First: r.first, Began: r.began, At: time.Now(), Findings: []finding{}, Coroutines: []row{}}
	l := r.loop.Value()
	if l == nil {
		v.Ended = true
		return v
	}
	if name, since, ok := l.Running(); ok {
		v.Turn = &turn{Coro: name, Since: since, Lasted: v.At.Sub(since)}
	}
	v.Stats = l.Stats()
	return v
}

// summary is the counters of v in words.
func (v *view) summary() string {
	s := v.Stats
	return fmt.Sprintf("live %d, ready %d, threads %d, timers %d; started %d, finished %d, failed %d, turns %d",
		s.Live, s.Ready, s.Threads, s.Timers, s.Started, s.Finished, s.Failed, s.Turns)
}

// state is what the loop does.
func (v *view) state() string {
	switch {
	case v.Ended:
		return "it has ended"
	case v.Turn != nil && v.Stuck:
		return fmt.Sprintf("STUCK: the turn of %s has lasted %v", v.Turn.Coro, v.Turn.Lasted.Round(time.Millisecond))
	case v.Stuck:
		return "STUCK: it does not answer, and it is nobody's turn"
	case v.Turn != nil:
		return "it is the turn of " + v.Turn.Coro
	}
	return "it waits"
}

// waiting is what r does, in words.
func (r *row) waiting() string {
	what := r.State
	if r.On != "" {
		what += " for " + r.On
	}
	return what
}

// notes are what else there is to be said of r.
func (r *row) notes(now time.Time) string {
	var notes []string
	if r.Deadline != nil {
		if d := r.Deadline.Sub(now); d > -24*time.Hour && d < 24*time.Hour {
			notes = append(notes, "until "+r.Deadline.Format("15:04:05.000")+", in "+d.Round(time.Millisecond).String())
		} else {
			notes = append(notes, "until "+r.Deadline.Format(time.DateTime+".000"))
		}
	}
	if r.Daemon {
		notes = append(notes, "daemon")
	}
	if r.Stopped != "" {
		notes = append(notes, "being stopped: "+r.Stopped)
	}
	if r.Again {
		notes = append(notes, "see above")
	}
	return strings.Join(notes, "; ")
}

// writeText writes the views as text. A nil request is for all of everything.
func writeText(b *bytes.Buffer, views []*view, q *request) {
	if len(views) == 0 {
		b.WriteString("no run is under way\n")
	}
	for _, v := range views {
		fmt.Fprintf(b, "run %d: %s, for %v\n", v.Run, v.First, v.At.Sub(v.Began).Round(time.Millisecond))
		fmt.Fprintf(b, "  %s\n  %s\n", v.state(), v.summary())
		for _, f := range v.Findings {
			fmt.Fprintf(b, "  %s %s\n", f.Lint, f.Text)
		}
		if v.Turn != nil && v.Turn.Stack != "" {
			for line := range strings.Lines(strings.TrimSpace(v.Turn.Stack)) {
				b.WriteString("    " + strings.TrimRight(line, "\n") + "\n")
			}
		}
		for i := range v.Coroutines {
			r := &v.Coroutines[i]
			fmt.Fprintf(b, "  %s#%d %s: %s at %s:%d", strings.Repeat("  ", min(r.Depth, maxIndent)), r.ID, r.Name, r.waiting(), r.File, r.Line)
			if notes := r.notes(v.At); notes != "" {
				b.WriteString(" (" + notes + ")")
			}
			b.WriteByte('\n')
		}
		if n := v.Rows - v.From - len(v.Coroutines); n > 0 {
			fmt.Fprintf(b, "  … and %d more rows: from=%d\n", n, v.From+len(v.Coroutines))
		}
		b.WriteByte('\n')
	}
	if q != nil && q.left > 0 {
		fmt.Fprintf(b, "… and %d more runs\n", q.left)
	}
}

// maxIndent is how far rows are indented at most.
const maxIndent = 40

// writeDot writes the views as a graph: an arrow leads from who waits to what is waited for.
func writeDot(b *bytes.Buffer, views []*view) {
	b.WriteString("digraph tinyio {\n\trankdir=LR;\n\tnode [shape=box, fontname=\"monospace\"];\n")
	for _, v := range views {
		fmt.Fprintf(b, "\tsubgraph cluster_%d {\n\t\tlabel=%s;\n", v.Run, dotQuote(fmt.Sprintf("run %d: %s\n%s", v.Run, v.First, v.state())))
		for i := range v.Coroutines {
			r := &v.Coroutines[i]
			if r.Again {
				continue
			}
			label := fmt.Sprintf("#%d %s\n%s\n%s:%d", r.ID, r.Name, r.waiting(), filepath.Base(r.File), r.Line)
			fmt.Fprintf(b, "\t\tr%dc%d [label=%s];\n", v.Run, r.ID, dotQuote(label))
			for _, id := range r.For {
				fmt.Fprintf(b, "\t\tr%dc%d -> r%dc%d;\n", v.Run, r.ID, v.Run, id)
			}
		}
		b.WriteString("\t}\n")
	}
	b.WriteString("}\n")
}

// dotQuote is s as a string of the DOT language.
func dotQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", " ").Replace(s) + `"`
}

const script = `if (window.EventSource) {
  const q = new URLSearchParams(location.search);
  if (!q.has("lint")) {
    q.set("format", "events");
    const source = new EventSource("?" + q);
    source.onmessage = e => { document.querySelector("main").innerHTML = e.data; };
    source.addEventListener("end", () => source.close());
  }
}`

// policy allows the page its own style and script, and nothing else.
var policy = func() string {
	hash := sha256.Sum256([]byte(script))
	return "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; script-src 'sha256-" +
		base64.StdEncoding.EncodeToString(hash[:]) + "'"
}()

const style = `body { font: 14px/1.4 sans-serif; margin: 1em 2em; color: #222; background: #fff; }
table { border-collapse: collapse; } td, th { text-align: left; padding: 1px 1em 1px 0; vertical-align: top; white-space: nowrap; }
tr:hover td { background: #f3f3f3; } code, pre, td { font-family: monospace; font-size: 13px; }
.stuck { color: #fff; background: #c00; padding: .2em .6em; } pre.stack { border-left: 4px solid #c00; padding-left: 1em; overflow: auto; }
.running { font-weight: bold; } .ready { color: #060; } .stopped { color: #c00; } .again { color: #888; }
.finding { border-left: 4px solid #c60; padding-left: 1em; }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818; } tr:hover td { background: #282828; } a { color: #8bf; } .ready { color: #7c7; } }`

// writePage writes an HTML page around what body writes.
func writePage(b *bytes.Buffer, body func()) {
	b.WriteString("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + Path + "</title>\n<style>\n" + style +
		"\n</style></head>\n<body><h1><a href=\"?\">" + Path + "</a></h1>\n<main>\n")
	body()
	b.WriteString("</main>\n<script>" + script + "</script>\n</body></html>\n")
}

// writeViews writes the views as HTML.
func writeViews(b *bytes.Buffer, views []*view, q *request) {
	if len(views) == 0 {
		b.WriteString("<p>No run is under way.</p>\n")
	}
	full := min(len(views), len(q.runs))
	for _, v := range views[:full] {
		writeView(b, v, q)
	}
	if len(views) > full {
		b.WriteString("<h2>Other runs</h2>\n<table>\n")
		for _, v := range views[full:] {
			fmt.Fprintf(b, "<tr><td><a href=\"?run=%d\">run %d</a></td><td>%s</td><td>%s</td><td>%s</td></tr>\n", v.Run, v.Run,
				escape(v.First), escape(v.state()), v.summary())
		}
		b.WriteString("</table>\n")
	}
	if q.left > 0 {
		fmt.Fprintf(b, "<p>… and %d more runs.</p>\n", q.left)
	}
}

func writeView(b *bytes.Buffer, v *view, q *request) {
	fmt.Fprintf(b, "<h2><a href=\"?run=%d\">Run %d</a>: %s</h2>\n<p>Since %s, for %v. ", v.Run, v.Run, escape(v.First),
		v.Began.Format(time.DateTime), v.At.Sub(v.Began).Round(time.Millisecond))
	fmt.Fprintf(b, "As <a href=\"?run=%d&amp;debug=1\">text</a>, <a href=\"?run=%d&amp;format=json\">JSON</a>, "+
		"<a href=\"?run=%d&amp;format=dot\">DOT</a>.</p>\n", v.Run, v.Run, v.Run)
	class := ""
	if v.Stuck {
		class = ` class="stuck"`
	}
	fmt.Fprintf(b, "<p%s>%s</p>\n<p>%s</p>\n", class, escape(v.state()), v.summary())
	for _, f := range v.Findings {
		fmt.Fprintf(b, "<p class=\"finding\"><a href=\"?lint=%s\">%s</a> %s</p>\n", f.Lint, f.Lint, escape(f.Text))
	}
	if v.Turn != nil && v.Turn.Stack != "" {
		fmt.Fprintf(b, "<pre class=\"stack\">%s</pre>\n", escape(v.Turn.Stack))
	}
	if len(v.Coroutines) == 0 {
		return
	}
	b.WriteString("<table>\n<tr><th>Coroutine</th><th>State</th><th>Where</th><th>Notes</th></tr>\n")
	for i := range v.Coroutines {
		v.Coroutines[i].write(b, v.At)
	}
	b.WriteString("</table>\n")
	if v.Rows == len(v.Coroutines) {
		return
	}
	b.WriteString("<p>")
	if v.From > 0 {
		fmt.Fprintf(b, "<a href=\"?run=%d&amp;from=%d&amp;n=%d\">rows before</a> · ", v.Run, max(v.From-q.n, 0), q.n)
	}
	fmt.Fprintf(b, "rows %d to %d of %d", v.From+1, v.From+len(v.Coroutines), v.Rows)
	if n := v.Rows - v.From - len(v.Coroutines); n > 0 {
		fmt.Fprintf(b, " · <a href=\"?run=%d&amp;from=%d&amp;n=%d\">%d more rows</a>", v.Run, v.From+len(v.Coroutines), q.n, n)
	}
	if q.n < maxRows {
		fmt.Fprintf(b, " · <a href=\"?run=%d&amp;n=%d\">all rows</a>", v.Run, maxRows)
	}
	b.WriteString("</p>\n")
}

// write writes r as a row of a table. There may be very many.
func (r *row) write(b *bytes.Buffer, now time.Time) {
	b.WriteString(`<tr class="`)
	switch {
	case r.Again:
		b.WriteString("again")
	case r.Stopped != "":
		b.WriteString("stopped")
	default:
		b.WriteString(r.State)
	}
	b.WriteString(`"><td style="padding-left:`)
	b.WriteString(strconv.Itoa(2 * min(r.Depth, maxIndent)))
	b.WriteString(`ch">#`)
	b.WriteString(strconv.Itoa(int(r.ID)))
	b.WriteByte(' ')
	b.WriteString(escape(r.Name))
	b.WriteString("</td><td>")
	b.WriteString(escape(r.waiting()))
	b.WriteString(`</td><td title="`)
	place := r.File + ":" + strconv.Itoa(r.Line)
	b.WriteString(escape(r.Function + " " + place))
	b.WriteString(`">`)
	b.WriteString(escape(filepath.Base(r.File) + ":" + strconv.Itoa(r.Line)))
	b.WriteString("</td><td>")
	b.WriteString(escape(r.notes(now)))
	b.WriteString("</td></tr>\n")
}
