package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
)

// A document has parts that this program makes, one for each of some flags. Each lies between two lines that name the flag.
func partLines(flag string) (begins, ends string) {
	return fmt.Sprintf("<!-- Made by `go run ./bench -%s -md`; do not edit. -->", flag),
		fmt.Sprintf("<!-- The end of what -%s has made. -->", flag)
}

// replacePart returns the document with another part.
func replacePart(document []byte, flag string, part []byte) ([]byte, error) {
	begins, ends := partLines(flag)
	before, rest, found := bytes.Cut(document, []byte(begins))
	_, after, closed := bytes.Cut(rest, []byte(ends))
	if !found || !closed {
		return nil, fmt.Errorf("the document has no part between the lines %q and %q", begins, ends)
	}
	return slices.Concat(before, []byte(begins+"\n\n"), bytes.TrimSpace(part), []byte("\n\n"+ends), after), nil
}

// writePart puts the part into the document with that name or, if it has none, writes it to the standard output.
func writePart(path, flag string, part []byte) {
	if path == "" {
		os.Stdout.Write(part)
		return
	}
	document := must(os.ReadFile(path))
	check(os.WriteFile(path, must(replacePart(document, flag, part)), 0o666))
}
