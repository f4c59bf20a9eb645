package tinyiovet_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tinyio-go/tinyio/tinyiovet"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/analysistest"
)

// Each analyzer reports what the comments in testdata say, and nothing else: there are near misses beside all that it reports.
func TestAnalyzers(t *testing.T) {
	for dir, a := range map[string]*analysis.Analyzer{
		"block": tinyiovet.Block, "escape": tinyiovet.Escape, "dropped": tinyiovet.Dropped, "again": tinyiovet.Again, "errs": tinyiovet.Errors,
	} {
		t.Run(a.Name, func(t *testing.T) { analysistest.Run(t, analysistest.TestData(), a, "./"+dir) })
	}
}

func TestAnalyzersAreValid(t *testing.T) {
	if err := analysis.Validate(tinyiovet.Analyzers); err != nil {
		t.Error(err)
	}
}

// build builds the command.
func build(t *testing.T) string {
	t.Helper()
	tool := filepath.Join(t.TempDir(), "tinyiovet.exe")
	cmd := exec.Command("go", "build", "-o", tool, "./cmd/tinyiovet")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return tool
}

// The command works for go vet, which has it write down what it knows of each package for those that import it.
func TestForGoVet(t *testing.T) {
	cmd := exec.Command("go", "vet", "-vettool="+build(t), "./block", "./dropped")
	cmd.Dir = "testdata"
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	for _, want := range []string{
		"time.Sleep blocks the whole loop; use co.Sleep",
		"Deep blocks the whole loop, in time.Sleep; put it in tinyio.Call",
		"the coroutine is made and dropped",
	} {
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("go vet does not report %q: %v\n%s", want, err, out)
		}
	}
}

// There is nothing to report in this project, its tests aside, which do what is wrong on purpose.
func TestNothingIsWrongHere(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while to read all modules")
	}
	tool := build(t)
	top, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	modules := []string{top}
	more, err := filepath.Glob(filepath.Join(top, "examples", "*", "go.mod"))
	if err != nil || len(more) == 0 {
		t.Fatal(more, err)
	}
	for _, m := range append(more, filepath.Join(top, "bench", "go.mod")) {
		modules = append(modules, filepath.Dir(m))
	}
	for _, dir := range modules {
		cmd := exec.Command(tool, "-json", "-test=false", "./...")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off")
		out, err := cmd.Output()
		var found map[string]map[string]any
		if err != nil || json.Unmarshal(out, &found) != nil {
			t.Errorf("%s: %v\n%s", dir, err, out)
			continue
		}
		for pkg, all := range found {
			t.Errorf("%s: %v", pkg, all)
		}
	}
}
