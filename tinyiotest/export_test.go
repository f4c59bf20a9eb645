package tinyiotest

import (
	"testing"

	"github.com/tinyio-go/tinyio"
)

// ExploreIn is Explore that fails tb, with runs in bubbles of t.
func ExploreIn(t *testing.T, tb testing.TB, fn func(co *tinyio.Co) error, opts ...Option) {
	p := newProgram("Explore", tb, fn)
	p.bubble = t
	explore(p, opts)
}

// ReplayIn is Replay likewise.
func ReplayIn(t *testing.T, tb testing.TB, schedule string, fn func(co *tinyio.Co) error) {
	p := newProgram("Replay", tb, fn)
	p.bubble = t
	replay(p, schedule)
}

// WithoutPackage is how the timeline cuts the names of functions.
var WithoutPackage = withoutPackage
