package debug

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Path is where the page is on [http.DefaultServeMux].
const Path = "/debug/tinyio"

func init() {
	h := Handler()
	http.Handle(Path, h)
	http.Handle(Path+"/", h)
}

// Handler returns the page, for a mux other than [http.DefaultServeMux]. It may be mounted at any path.
func Handler() http.Handler { return http.HandlerFunc(serve) }

// WriteText writes what the page shows of all runs, as text: for a log, or a signal handler.
func WriteText(ctx context.Context, w io.Writer) error {
	var b bytes.Buffer
	views := lookAll(ctx, running.all())
	for _, v := range views {
		v.cut(0, maxRows)
	}
	writeText(&b, views, nil)
	_, err := w.Write(b.Bytes())
	return err
}

const (
	pageRows    = 1_000   // that are shown of a tree on the page: a browser takes a second and more for ten times as many
	defaultRows = 10_000  // in any other form
	maxRows     = 100_000 // that may be asked for
	fullViews   = 8       // as many runs are shown with their trees
	maxRuns     = 1_000   // that are listed
	liveEvery   = time.Second
)

// A request is what somebody asks for.
type request struct {
	format  string
	runs    []*run
	rest    []*run // that are only listed
	left    int    // how many runs there are besides
	from, n int
	lint    string
	isLint  bool
}

// A refusal is the answer to a request that makes no sense.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return r.text }

func refuse(code int, format string, args ...any) error {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// formats are the values of the query format.
var formats = []string{"html", "text", "json", "dot", "events"}

// parse reads a query.
func parse(raw string) (q request, err error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, refuse(http.StatusBadRequest, "the query cannot be read: %v", err)
	}
	q = request{format: "html"}
	all := running.all()
	one := false
	for key, vs := range values {
		if len(vs) > 1 {
			return q, refuse(http.StatusBadRequest, "%s is given %d times", key, len(vs))
		}
		switch v := vs[0]; key {
		case "debug":
			if v != "1" && v != "0" {
				return q, refuse(http.StatusBadRequest, "debug=%s: it is 1, for text, or left out", clip(v))
			}
			if v == "1" {
				q.format = "text"
			}
		case "format":
			if !slices.Contains(formats, v) {
				return q, refuse(http.StatusBadRequest, "format=%s: it is one of %s", clip(v), strings.Join(formats, ", "))
			}
			q.format = v
		case "run":
			number, err := strconv.ParseUint(v, 10, 64)
			if err != nil {
				return q, refuse(http.StatusBadRequest, "run=%s: it is the number of a run, see %s", clip(v), Path)
			}
			r, last := running.find(number)
			switch {
			case r != nil:
			case number > 0 && number <= last:
				return q, refuse(http.StatusNotFound, "run %d has ended", number)
			default:
				return q, refuse(http.StatusNotFound, "there is no run %d; the last one was number %d", number, last)
			}
			all, one = []*run{r}, true
		case "from", "n":
			number, err := strconv.Atoi(v)
			switch {
			case err != nil || number < 0:
				return q, refuse(http.StatusBadRequest, "%s=%s: it is a number of rows", key, clip(v))
			case key == "n" && (number == 0 || number > maxRows):
				return q, refuse(http.StatusBadRequest, "n=%d: it is a number of rows from 1 to %d", number, maxRows)
			case key == "n":
				q.n = number
			default:
				q.from = number
			}
		case "lint":
			q.lint, q.isLint = v, true
		default:
			return q, refuse(http.StatusBadRequest, "there is no query %s; there are debug, format, run, from, n and lint", clip(key))
		}
	}
	switch {
	case q.n > 0:
	case q.format == "html" || q.format == "events":
		q.n = pageRows
	default:
		q.n = defaultRows
	}
	if len(all) > maxRuns {
		q.left = len(all) - maxRuns
		all = all[:maxRuns]
	}
	if q.runs = all; len(all) > fullViews && !one {
		q.runs, q.rest = all[:fullViews], all[fullViews:]
	}
	return q, nil
}

// clip shortens what somebody else has written.
func clip(s string) string {
	if len(s) > 50 {
		s = s[:50] + "…"
	}
	return strconv.Quote(s)
}

func serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "the page can change nothing; only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	q, err := parse(r.URL.RawQuery)
	if err == nil {
		err = q.answer(w, r)
	}
	if why, ok := err.(*refusal); ok {
		http.Error(w, why.text, why.code)
	}
}

// answer answers a request. Its error is a *refusal.
func (q *request) answer(w http.ResponseWriter, r *http.Request) error {
	if q.isLint {
		return q.explain(w)
	}
	if q.format == "events" {
		q.stream(w, r)
		return nil
	}
	views, err := q.look(r.Context())
	if err != nil {
		return err
	}
	var b bytes.Buffer
	contentType := "text/plain; charset=utf-8"
	switch q.format {
	case "text":
		writeText(&b, views, q)
	case "json":
		contentType = "application/json"
		e := json.NewEncoder(&b)
		e.SetIndent("", " ")
		if err := e.Encode(views); err != nil {
			return refuse(http.StatusInternalServerError, "tinyio: internal error: %v; please report this", err)
		}
	case "dot":
		contentType = "text/vnd.graphviz; charset=utf-8"
		writeDot(&b, views)
	default:
		contentType = "text/html; charset=utf-8"
		writePage(&b, func() { writeViews(&b, views, q) })
		w.Header().Set("Content-Security-Policy", policy)
	}
	send(w, contentType, &b)
	return nil
}

func send(w http.ResponseWriter, contentType string, b *bytes.Buffer) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.Write(b.Bytes())
}

// look looks into the runs, and takes the rows that were asked for.
func (q *request) look(ctx context.Context) ([]*view, error) {
	views := lookAll(ctx, q.runs)
	most := 0
	for _, v := range views {
		most = max(most, v.Rows)
		v.cut(q.from, q.n)
	}
	if q.from > 0 && q.from >= most {
		return nil, refuse(http.StatusNotFound, "from=%d: there are %d rows", q.from, most)
	}
	for _, r := range q.rest {
		views = append(views, r.glance())
	}
	return views, nil
}

// cut leaves n rows of v, from one on.
func (v *view) cut(from, n int) {
	from = min(from, len(v.Coroutines))
	v.From = from
	v.Coroutines = v.Coroutines[from:min(from+n, len(v.Coroutines))]
}

// stream sends the page again and again, until nobody is there any more who reads it or the run that was asked for has ended. It leaves the
// loop alone for ten times as long as it took to look.
func (q *request) stream(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	if r.Method == http.MethodHead {
		return
	}
	control := http.NewResponseController(w)
	raw := r.URL.RawQuery
	for {
		began := time.Now()
		var b bytes.Buffer
		q, err := parse(raw)
		var views []*view
		if err == nil {
			views, err = q.look(r.Context())
		}
		if err != nil { // the run has ended, or has not so many rows any more
			fmt.Fprintf(&b, "<p>%s</p>", escape(err.Error()))
		} else {
			q.format = "html"
			writeViews(&b, views, &q)
		}
		var event bytes.Buffer
		for line := range bytes.Lines(b.Bytes()) {
			event.WriteString("data: ")
			event.Write(bytes.TrimRight(line, "\r\n"))
			event.WriteByte('\n')
		}
		event.WriteByte('\n')
		if err != nil {
			event.WriteString("event: end\ndata: end\n\n")
		}
		control.SetWriteDeadline(time.Now().Add(10 * time.Second)) // in place of that of the server; not every writer has one
		if _, failed := w.Write(event.Bytes()); failed != nil || control.Flush() != nil || err != nil {
			return
		}
		select {
		case <-time.After(max(liveEvery, 10*time.Since(began))):
		case <-r.Context().Done():
			return
		}
	}
}

// explain says what a lint means.
func (q *request) explain(w http.ResponseWriter) error {
	shown := lints
	if q.lint != "" {
		l, ok := lintOf(q.lint)
		if !ok {
			return refuse(http.StatusNotFound, "there is no lint %s; there are TIO1 to %s", clip(q.lint), lints[len(lints)-1].Number)
		}
		shown = []lint{l}
	}
	var b bytes.Buffer
	switch q.format {
	case "text":
		for _, l := range shown {
			fmt.Fprintf(&b, "%s: %s\n\n%s\n\nWhat to do: %s\n\n", l.Number, l.Title, l.Means, l.Do)
		}
		send(w, "text/plain; charset=utf-8", &b)
	case "html":
		writePage(&b, func() {
			for _, l := range shown {
				fmt.Fprintf(&b, "<h2>%s: %s</h2>\n<p>%s</p>\n<p><b>What to do.</b> %s</p>\n", l.Number, escape(l.Title), escape(l.Means), escape(l.Do))
			}
			b.WriteString("<p><a href=\"?\">All runs</a> · <a href=\"?lint=\">All lints</a></p>\n")
		})
		w.Header().Set("Content-Security-Policy", policy)
		send(w, "text/html; charset=utf-8", &b)
	default:
		return refuse(http.StatusBadRequest, "a lint is explained as html or text, not as %s", q.format)
	}
	return nil
}
