// Command site makes a web site of the documents of this project: of the README and the other pages at the root, of all that is in docs, and
// of the READMEs of modules and examples. From the root:
//
//	go run ./docs/site
//
// and site-out/index.html is the first page. It needs no server and nothing from elsewhere: it can be read from the disk, without scripts
// too, and searched with one. A link that leads to no file of the project is an error; that each one leads to a page and a heading of the
// site is what the tests have examples/linkcheck find out.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", ".", "the `directory` of the project")
	out := flag.String("out", "site-out", "write the site into this `directory`, in place of one that is there")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*root, *out); err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
}

// run makes the site of the project in the directory root.
func run(root, out string) error {
	s, err := read(os.DirFS(root))
	if err != nil {
		return err
	}
	files, err := s.build()
	if err != nil {
		return err
	}
	if err := removeOld(out); err != nil {
		return err
	}
	for name, content := range files {
		file := filepath.Join(out, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o666); err != nil {
			return err
		}
	}
	fmt.Printf("%s: the first of %d pages\n", filepath.Join(out, "index.html"), len(s.pages))
	return nil
}

// removeOld removes a site that was made before. It removes nothing else: whoever names a directory by mistake loses nothing.
func removeOld(out string) error {
	entries, err := os.ReadDir(out)
	switch {
	case errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0:
		return nil
	case err != nil:
		return err
	}
	if _, err := os.Stat(filepath.Join(out, scriptFile)); err != nil {
		return fmt.Errorf("%s has something in it that is no site: name another directory with -out, or empty this one", out)
	}
	return os.RemoveAll(out)
}
