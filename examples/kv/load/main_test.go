package main

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be the servers.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-serve" {
		main()
		return
	}
	os.Exit(m.Run())
}

// The program measures each kind of load on each server, and puts the figures where they belong in a file.
func TestFigures(t *testing.T) {
	t.Setenv("GORACE", "atexit_sleep_ms=0") // for the servers
	before := runtime.NumGoroutine()
	file := filepath.Join(t.TempDir(), "README.md")
	text := "before\n" + string(begin) + "old\n" + string(end) + "after\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-connections", "20", "-keys", "100", "-rounds", "1", "-duration", "50ms", "-update", file}
	if err := run(t.Context(), args, nil); err != nil {
		t.Fatal(err)
	}
	updated, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		for _, name := range names {
			row := regexp.MustCompile(`(?m)^\| ` + k.name + ` \| ` + name + ` \| [1-9]\d* \| \d\.\d\d (\| [1-9][\d.]*(µs|ms) ){3}\|$`)
			if !row.Match(updated) {
				t.Errorf("there is no row for %s, %s", k.name, name)
			}
		}
	}
	if s := string(updated); !strings.HasPrefix(s, "before\n"+string(begin)) || !strings.HasSuffix(s, string(end)+"after\n") ||
		strings.Contains(s, "old") {
		t.Errorf("the file is\n%s", s)
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left, there were %d before", runtime.NumGoroutine(), before)
		}
	}
}
