// Package browsertest tests the web site of the documents in a real browser, Chromium: from the disk, as a reader has it.
package browsertest

import (
	"bytes"
	"context"
	_ "embed"
	"flag"
	"fmt"
	"image/color"
	"image/png"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/tinyio-go/tinyio/debug/browsertest/browser"
)

var screenshots = flag.String("screenshots", "", "write pictures of some pages, at each width, light and dark, into this `directory`")

// widths are those of a telephone, of a tablet and of a computer.
var widths = []int64{360, 768, 1280}

// The site, which is made once for all tests, and its pages.
var (
	dir   string
	pages []string
)

func TestMain(m *testing.M) {
	flag.Parse()
	status, err := runOnSite(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(status)
}

// runOnSite makes the site and runs the tests.
func runOnSite(m *testing.M) (status int, err error) {
	temporary, err := os.MkdirTemp("", "site")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(temporary)
	dir = filepath.Join(temporary, "site")
	build := exec.Command("go", "run", ".", "-root", "../..", "-out", dir)
	build.Dir = ".."
	if said, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%v: %w\n%s", build, err, said)
	}
	err = filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		if filepath.Ext(name) == ".html" {
			name, _ = filepath.Rel(dir, name)
			pages = append(pages, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// address is that of a page on the disk.
func address(page string) string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(dir) + "/" + page}).String()
}

// open shows a page in a browser of its own, which is light.
func open(t *testing.T, page string) context.Context {
	t.Helper()
	ctx := browser.Open(t, 1280, 800)
	browser.Do(t, ctx, chromedp.Navigate(address(page)))
	return ctx
}

// evaluate asks the page.
func evaluate[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	return browser.Get(t, ctx, chromedp.Evaluate[T](expression))
}

// No page is wider than the window, at any width, however wide its code and its tables are: these move in themselves.
func TestNoPageIsTooWide(t *testing.T) {
	ctx := browser.Open(t, 1280, 800)
	inside := 0
	for _, page := range pages {
		browser.Do(t, ctx, chromedp.Navigate(address(page)))
		for _, width := range widths {
			browser.Do(t, ctx, chromedp.EmulateViewport(width, 800))
			if got := evaluate[int64](t, ctx, `document.documentElement.scrollWidth`); got > width {
				widest := evaluate[string](t, ctx, `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth
					&& !e.closest("pre, .table")).map(e => e.outerHTML.slice(0, 100)).join("\n")`)
				t.Errorf("%s is %d wide in a window of %d, because of\n%s", page, got, width, widest)
			}
			inside += evaluate[int](t, ctx, `[...document.querySelectorAll("pre, .table")].filter(e => e.scrollWidth > e.clientWidth).length`)
		}
	}
	if inside < 100 {
		t.Errorf("only %d blocks move in themselves: does the test look at anything?", inside)
	}
}

//go:embed contrast.js
var contrast string

// All text stands out from what is behind it by 4.5 to 1 at least, as the WCAG have it, in light and in dark.
func TestContrast(t *testing.T) {
	ctx := browser.Open(t, 1280, 800)
	checked := map[string]int{}
	for _, page := range pages {
		browser.Do(t, ctx, chromedp.Navigate(address(page)))
		for _, theme := range []string{"light", "dark"} {
			got := evaluate[struct {
				Dark    bool
				Checked int
				Faint   []string
			}](t, ctx, contrast)
			if got.Dark != (theme == "dark") {
				t.Fatalf("%s is not %s", page, theme)
			}
			checked[theme] += got.Checked
			for _, faint := range got.Faint {
				t.Errorf("%s, %s: %s", page, theme, faint)
			}
			browser.Do(t, ctx, chromedp.Click("#theme"))
		}
	}
	if checked["light"] < 10_000 || checked["dark"] != checked["light"] {
		t.Errorf("so many texts are looked at: %v", checked)
	}
}

// The switch changes the colours, of the page and of what comes after it, and back.
func TestDarkMode(t *testing.T) {
	ctx := open(t, "index.html")
	background := func() string {
		return evaluate[string](t, ctx, `getComputedStyle(document.body).backgroundColor`)
	}
	label := func() string { return evaluate[string](t, ctx, `document.getElementById("theme").textContent`) }
	const light, dark = "rgb(255, 255, 255)", "rgb(16, 20, 26)"
	expect := func(where, color, offers string) {
		t.Helper()
		if got := background(); got != color {
			t.Errorf("%s: the page is %s, want %s", where, got, color)
		}
		if got := label(); got != offers {
			t.Errorf("%s: the switch offers %s, want %s", where, got, offers)
		}
	}
	expect("at first", light, "Dark")
	browser.Do(t, ctx, chromedp.Click("#theme"))
	expect("switched", dark, "Light")
	browser.Do(t, ctx, chromedp.Click(".next"))
	browser.Await(t, ctx, `location.pathname.endsWith("/docs/guide.html") && document.readyState == "complete"`)
	expect("on the next page", dark, "Light")
	browser.Do(t, ctx, chromedp.Click("#theme"))
	expect("switched back", light, "Dark")
	if evaluate[bool](t, ctx, `localStorage.getItem("theme") != null`) {
		t.Error("what the system says anyway is kept")
	}
}

// The charts are as dark as the page, whatever the system says.
func TestChartsFollowTheSwitch(t *testing.T) {
	ctx := open(t, "docs/performance.html")
	for _, want := range []color.RGBA{{255, 255, 255, 255}, {16, 20, 26, 255}} {
		picture := browser.Get(t, ctx, chromedp.Screenshot(`img[src$="peers.svg"]`))
		image, err := png.Decode(bytes.NewReader(picture))
		if err != nil {
			t.Fatal(err)
		}
		if got := color.RGBAModel.Convert(image.At(image.Bounds().Dx()/2, 8)); got != want {
			t.Errorf("behind the chart it is %v, want %v", got, want)
		}
		browser.Do(t, ctx, chromedp.Click("#theme"))
	}
}

// A search finds pages by what is in them, best first, tells how many, and leads there.
func TestSearch(t *testing.T) {
	ctx := open(t, "docs/guide/order.html")
	results := func(words string) []string {
		t.Helper()
		browser.Do(t, ctx, chromedp.Evaluate[chromedp.Void](`document.getElementById("search").value = ""`))
		browser.Do(t, ctx, chromedp.SendKeys("#search", words))
		browser.Await(t, ctx, `sections != null`)
		return evaluate[[]string](t, ctx, `[...document.querySelectorAll("#found b")].map(e => e.textContent)`)
	}
	count := func() string { return evaluate[string](t, ctx, `document.getElementById("count").textContent`) }
	if got := results("children first"); len(got) == 0 || got[0] != "Children first" {
		t.Errorf("the results for children first are %q", got)
	}
	if got := results("timeout"); len(got) == 0 || got[0] != "Timeouts" { // and not the many others that tell of them
		t.Errorf("the results for timeout are %q", got)
	}
	if got := results("CallInterruptible"); !slices.Contains(got, "Threads") {
		t.Errorf("the results for CallInterruptible are %q", got)
	}
	if got := results("zyzzyva"); len(got) != 0 || count() != "Nothing has “zyzzyva”." {
		t.Errorf("the results for what is not there are %q, %q", got, count())
	}
	if got := results(`<b>"(`); len(got) != 0 { // neither HTML nor a pattern
		t.Errorf("the results for signs are %q", got)
	}
	if got := results("coroutine"); len(got) != 20 || !strings.HasPrefix(count(), "The best 20 of ") {
		t.Errorf("%d results are shown, and %q", len(got), count())
	}
	results("rate limit")
	first := evaluate[string](t, ctx, `document.querySelector("#found a").href`)
	browser.Do(t, ctx, chromedp.SendKeys("#search", "\r"))
	browser.Await(t, ctx, fmt.Sprintf(`location.href == %q`, first))
	if !strings.Contains(first, "/docs/recipes.html#") {
		t.Errorf("the first result for rate limit is %s", first)
	}
	browser.Await(t, ctx, `document.readyState == "complete"`)
	if !evaluate[bool](t, ctx, `document.querySelector(location.hash) != null`) {
		t.Errorf("there is no %s", first)
	}
}

// The keyboard is enough: / goes to the search, arrows to its results, and Escape away from it.
func TestKeyboard(t *testing.T) {
	ctx := open(t, "index.html")
	focused := func(want string) {
		t.Helper()
		browser.Await(t, ctx, fmt.Sprintf(`document.activeElement.matches(%q)`, want))
	}
	browser.Do(t, ctx, chromedp.KeyEvent("/"))
	focused("#search")
	clear := `document.getElementById("search").value = ""` // of the /, which chromedp types although the page takes the key for itself
	browser.Do(t, ctx, chromedp.Evaluate[chromedp.Void](clear), chromedp.KeyEvent("timeout"))
	browser.Await(t, ctx, `document.querySelectorAll("#found a").length > 2`)
	browser.Do(t, ctx, chromedp.KeyEvent(kb.ArrowDown))
	focused("#found li:nth-child(1) a")
	browser.Do(t, ctx, chromedp.KeyEvent(kb.ArrowDown))
	focused("#found li:nth-child(2) a")
	browser.Do(t, ctx, chromedp.KeyEvent(kb.ArrowUp))
	browser.Do(t, ctx, chromedp.KeyEvent(kb.ArrowUp))
	focused("#search")
	browser.Do(t, ctx, chromedp.KeyEvent(kb.Escape))
	browser.Await(t, ctx, `document.getElementById("results").hidden`)
}

// The list of pages is beside the text where there is room, and can be asked for where there is none.
func TestMenu(t *testing.T) {
	ctx := open(t, "index.html")
	shown := func() bool {
		return evaluate[bool](t, ctx, `document.querySelector("nav.pages").checkVisibility()`)
	}
	if !shown() {
		t.Error("a wide window has no list of pages")
	}
	browser.Do(t, ctx, chromedp.EmulateViewport(widths[0], 800))
	if shown() {
		t.Error("a narrow window has the list of pages before the text")
	}
	browser.Do(t, ctx, chromedp.Click("label.menu"))
	if !shown() {
		t.Error("the button does not show the list of pages")
	}
}

// Without scripts all text is there, and nothing that does not work.
func TestWithoutScripts(t *testing.T) {
	ctx := browser.Open(t, 1280, 800)
	bare := t.TempDir()
	if err := os.CopyFS(bare, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(bare, "site.js")); err != nil {
		t.Fatal(err)
	}
	browser.Do(t, ctx, chromedp.Navigate((&url.URL{Scheme: "file", Path: filepath.ToSlash(bare) + "/index.html"}).String()))
	if got := evaluate[string](t, ctx, `document.querySelector("h1").innerText`); got != "tinyio" {
		t.Errorf("the title is %q", got)
	}
	for _, part := range []string{"#search", "#theme"} {
		if evaluate[bool](t, ctx, fmt.Sprintf(`document.querySelector(%q).checkVisibility()`, part)) {
			t.Errorf("%s is shown, and does nothing", part)
		}
	}
}

// TestScreenshots makes pictures to look at, if such are wanted.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("no pictures are wanted: -screenshots directory")
	}
	ctx := browser.Open(t, 1280, 800)
	browser.Do(t, ctx, chromedp.Navigate(address("index.html")))
	for _, theme := range []string{"light", "dark"} {
		for _, width := range widths {
			browser.Do(t, ctx, chromedp.EmulateViewport(width, 1000))
			for _, page := range []string{"index.html", "docs/guide.html", "docs/guide/errors.html", "docs/performance.html", "docs/benchmarks.html"} {
				browser.Do(t, ctx, chromedp.Navigate(address(page)))
				name := fmt.Sprintf("%s-%d-%s.png", strings.TrimSuffix(filepath.Base(page), ".html"), width, theme)
				browser.Shoot(t, ctx, filepath.Join(*screenshots, name))
			}
		}
		for _, width := range widths {
			browser.Do(t, ctx, chromedp.EmulateViewport(width, 1000), chromedp.Navigate(address("index.html")),
				chromedp.SendKeys("#search", "timeout"))
			browser.Await(t, ctx, `document.querySelector("#found a") != null`)
			browser.Shoot(t, ctx, filepath.Join(*screenshots, fmt.Sprintf("search-%d-%s.png", width, theme)))
		}
		browser.Do(t, ctx, chromedp.EmulateViewport(widths[0], 1000), chromedp.Navigate(address("index.html")), chromedp.Click("label.menu"))
		browser.Shoot(t, ctx, filepath.Join(*screenshots, fmt.Sprintf("menu-%d-%s.png", widths[0], theme)))
		browser.Do(t, ctx, chromedp.EmulateViewport(widths[2], 1000), chromedp.Click("#theme"))
	}
}
