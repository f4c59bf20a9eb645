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
	text := "before\n"
	for _, c := range tables {
		text += "<!-- " + c.name + " -->\nold\n<!-- end of " + c.name + " -->\nafter\n"
	}
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
	for _, c := range tables {
		_, rest, begun := strings.Cut(string(updated), "\n<!-- "+c.name+" -->\n")
		rows, _, ended := strings.Cut(rest, "\n<!-- end of "+c.name+" -->\nafter\n")
		if !begun || !ended {
			t.Errorf("the marks of %s are gone", c.name)
		}
		for _, k := range kinds {
			for _, name := range c.servers {
				row := regexp.MustCompile(`(?m)^\| ` + k.name + ` \| ` + name + ` \| [1-9]\d* \| \d\.\d\d (\| [1-9][\d.]*(µs|ms) ){3}\|$`)
				if !row.MatchString(rows) {
					t.Errorf("there is no row for %s, %s", k.name, name)
				}
			}
		}
	}
	if s := string(updated); !strings.HasPrefix(s, "before\n") || !strings.HasSuffix(s, "after\n") || strings.Contains(s, "old") {
		t.Errorf("the file is\n%s", s)
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left, there were %d before", runtime.NumGoroutine(), before)
		}
	}
}
