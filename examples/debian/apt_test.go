// Package debian tests the examples on what Debian has: documents and programs that nobody wrote for them.
package debian

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needs skips the test if there is no such command here.
func needs(t *testing.T, commands ...string) {
	t.Helper()
	for _, c := range commands {
		if _, err := exec.LookPath(c); err != nil {
			t.Skipf("NOT TESTED on what Debian has: there is no %s here; README.md says what to install", c)
		}
	}
}

// output runs a command in a directory and returns what it writes to standard output.
func output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = dir
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %v; %s%s", c, err, out, stderr.String())
	}
	return string(out)
}

// download downloads something of Debian with apt-get into a directory. The test is skipped if it cannot be had.
func download(t *testing.T, dir string, args ...string) {
	t.Helper()
	get := func(args ...string) ([]byte, error) {
		c := exec.Command("apt-get", append([]string{"-q"}, args...)...)
		c.Dir = dir
		return c.CombinedOutput()
	}
	if _, err := get(args...); err == nil {
		return
	}
	get("update") // it may not know, or know of an old version
	if out, err := get(args...); err != nil {
		t.Skipf("NOT TESTED on what Debian has, because it cannot be had: %v: %s", err, out)
	}
}

// unpack downloads packages of Debian and returns a directory in which their files are as they would be in / if they were installed.
func unpack(t *testing.T, packages ...string) string {
	t.Helper()
	debs, root := t.TempDir(), t.TempDir()
	download(t, debs, append([]string{"download"}, packages...)...)
	files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil || len(files) != len(packages) {
		t.Fatalf("of %v there are %v, %v", packages, files, err)
	}
	for _, f := range files {
		output(t, debs, "dpkg-deb", "-x", f, root)
	}
	return root
}

// build builds an example and returns where it is.
func build(t *testing.T, example string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), example)
	output(t, filepath.Join("..", example), "go", "build", "-o", path, ".")
	return path
}

// write writes a file.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}
