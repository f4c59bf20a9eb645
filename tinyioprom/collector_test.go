package tinyioprom_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyioprom"
)

// compare compares all that is collected. Lines of help and type are checked by promlint.
func compare(t *testing.T, g prometheus.Gatherer, want string) {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(g, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	var got []string
	for line := range strings.Lines(w.Body.String()) {
		if !strings.HasPrefix(line, "#") {
			got = append(got, line)
		}
	}
	if got := strings.Join(got, ""); w.Code != http.StatusOK || got != want {
		t.Errorf("what is collected is, with %d,\n%s\nwant\n%s", w.Code, got, want)
	}
}

// The counters are exact, before, during and after a run, and while the loop is stuck.
func TestCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := tinyio.NewLoop()
		r := prometheus.NewPedanticRegistry()
		r.MustRegister(tinyioprom.NewCollector("api", l))
		nothing := func(counters string) string {
			return `tinyio_coroutines{loop="api",state="ready"} 0
tinyio_coroutines{loop="api",state="running"} 0
tinyio_coroutines{loop="api",state="waiting"} 0
` + counters + `tinyio_threads{loop="api"} 0
tinyio_timers{loop="api"} 0
tinyio_turn_seconds{loop="api"} 0
`
		}
		compare(t, r, nothing(`tinyio_coroutines_failed_total{loop="api"} 0
tinyio_coroutines_finished_total{loop="api"} 0
tinyio_coroutines_started_total{loop="api"} 0
`)+`tinyio_turns_total{loop="api"} 0
`)
		ended := make(chan error)
		go func() {
			_, err := tinyio.RunOn(context.Background(), l, tinyio.Do(func(co *tinyio.Co) error {
				thread := tinyio.RunInThread(func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
				if err := co.Spawn(thread, tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) })); err != nil {
					return err
				}
				co.Go(func(*tinyio.Co) error { return nil })
				time.Sleep(3 * time.Second) // stuck
				return errors.New("no")
			}))
			ended <- err
		}()
		time.Sleep(time.Second)
		compare(t, r, `tinyio_coroutines{loop="api",state="ready"} 1
tinyio_coroutines{loop="api",state="running"} 1
tinyio_coroutines{loop="api",state="waiting"} 2
tinyio_coroutines_failed_total{loop="api"} 0
tinyio_coroutines_finished_total{loop="api"} 0
tinyio_coroutines_started_total{loop="api"} 4
tinyio_threads{loop="api"} 1
tinyio_timers{loop="api"} 1
tinyio_turn_seconds{loop="api"} 1
tinyio_turns_total{loop="api"} 4
`)
		<-ended
		compare(t, r, nothing(`tinyio_coroutines_failed_total{loop="api"} 1
tinyio_coroutines_finished_total{loop="api"} 4
tinyio_coroutines_started_total{loop="api"} 4
`)+`tinyio_turns_total{loop="api"} 6
`)
	})
}

// Turns are measured in real time, also those in which a coroutine finishes or fails, and not what happens to others meanwhile.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := tinyioprom.NewTurns("api")
		r := prometheus.NewPedanticRegistry()
		r.MustRegister(turns)
		_, err := tinyio.Run(context.Background(), tinyio.Do(func(co *tinyio.Co) error {
			co.Go(func(co *tinyio.Co) error { time.Sleep(20 * time.Second); return co.Sleep(time.Hour) })
			time.Sleep(5 * time.Millisecond)
			if err := co.Sleep(time.Minute); err != nil {
				return err
			}
			never := co.Go(func(*tinyio.Co) error { return nil })
			_ = never.Cancel(co, errors.New("not wanted"))
			time.Sleep(50 * time.Millisecond)
			return errors.New("no")
		}), tinyio.WithObserver(turns))
		if err == nil {
			t.Error("the run has not failed")
		}
		compare(t, r, `tinyio_turn_duration_longest_seconds{loop="api"} 20
tinyio_turn_duration_seconds_bucket{loop="api",le="1e-06"} 2
tinyio_turn_duration_seconds_bucket{loop="api",le="9.999999999999999e-06"} 2
tinyio_turn_duration_seconds_bucket{loop="api",le="9.999999999999999e-05"} 2
tinyio_turn_duration_seconds_bucket{loop="api",le="0.001"} 2
tinyio_turn_duration_seconds_bucket{loop="api",le="0.01"} 3
tinyio_turn_duration_seconds_bucket{loop="api",le="0.1"} 4
tinyio_turn_duration_seconds_bucket{loop="api",le="1"} 4
tinyio_turn_duration_seconds_bucket{loop="api",le="10"} 4
tinyio_turn_duration_seconds_bucket{loop="api",le="+Inf"} 5
tinyio_turn_duration_seconds_sum{loop="api"} 20.055
tinyio_turn_duration_seconds_count{loop="api"} 5
`)
	})
}

// all registers one of each, for two loops.
func all(t *testing.T) *prometheus.Registry {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	for _, name := range []string{"a", "b"} {
		r.MustRegister(tinyioprom.NewCollector(name, tinyio.NewLoop()), tinyioprom.NewTurns(name))
	}
	return r
}

func TestNamesAreAsPrometheusWantsThem(t *testing.T) {
	problems, err := testutil.GatherAndLint(all(t))
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	if n, err := testutil.GatherAndCount(all(t), "tinyio_coroutines"); n != 6 || err != nil {
		t.Errorf("there are %d, %v", n, err)
	}
}

func TestNilLoop(t *testing.T) {
	defer func() {
		if s, _ := recover().(string); !strings.Contains(s, "make one with tinyio.NewLoop") {
			t.Errorf("it panics with %q", s)
		}
	}()
	tinyioprom.NewCollector("api", nil)
}

// The dashboard asks for every metric that there is, and for no other, and its panels lie beside each other.
func TestDashboard(t *testing.T) {
	file, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title, UID string
		Panels     []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, RefID, LegendFormat string }
		}
		Templating struct{ List []struct{ Name, Type string } }
	}
	if err := json.Unmarshal(file, &board); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range board.Templating.List {
		names = append(names, v.Name)
	}
	if board.Title == "" || board.UID == "" || !slices.Equal(names, []string{"datasource", "loop"}) {
		t.Errorf("the title is %q, the variables %q", board.Title, names)
	}
	taken := map[[2]int]string{}
	asked := map[string]bool{}
	for i, p := range board.Panels {
		if p.ID != i+1 || p.Title == "" || len(p.Targets) == 0 {
			t.Errorf("panel number %d is %+v", i+1, p)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q lies upon %q, or outside", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			if !strings.Contains(target.Expr, `loop=~"$loop"`) || target.RefID == "" || target.LegendFormat == "" {
				t.Errorf("%q asks for %+v", p.Title, target)
			}
			for _, name := range regexp.MustCompile(`tinyio_\w+`).FindAllString(target.Expr, -1) {
				asked[strings.TrimSuffix(name, "_bucket")] = true
			}
		}
	}
	families, err := all(t).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !asked[f.GetName()] {
			t.Errorf("it does not ask for %s", f.GetName())
		}
		delete(asked, f.GetName())
	}
	if len(asked) > 0 {
		t.Errorf("it asks for %v", asked)
	}
}
