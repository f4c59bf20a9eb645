package main

import (
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/tinyio-go/tinyio/examples/linkcheck/markdown"
)

var converter = markdown.New()

// A fileServer serves a directory to this machine: Markdown as HTML, everything else as it is. Nothing out of the directory
// can be had from it, by way of symbolic links neither; of what these lead to it only tells whether it is there.
type fileServer struct {
	dir    string
	root   *os.Root
	files  fs.FS
	server *http.Server
	ended  chan struct{}
}

// serve serves a directory as a site. All of its pages are where the check starts, whether others link to them or not.
func serve(dir string) (*site, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	s := &fileServer{dir: dir, root: root, files: root.FS(), ended: make(chan struct{})}
	names, err := s.pages()
	if err != nil {
		root.Close()
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		root.Close()
		return nil, err
	}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(s.ended)
		s.server.Serve(listener)
	}()
	host := listener.Addr().String()
	start := make([]link, len(names))
	for i, name := range names {
		start[i].address = (&url.URL{Scheme: "http", Host: host, Path: "/" + name}).String()
	}
	return &site{host: host, start: start, files: s}, nil
}

func (s *fileServer) close() {
	s.server.Close()
	<-s.ended
	s.root.Close()
}

// pages returns the names of all pages, those in hidden directories excepted, and symbolic links to others.
func (s *fileServer) pages() (names []string, err error) {
	elsewhere := 0 // pages, perhaps
	err = fs.WalkDir(s.files, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && isHidden(name):
			return fs.SkipDir
		case !isMarkdown(name) && !isHTMLFile(name):
		case d.Type().IsRegular():
			names = append(names, name)
		case d.Type()&fs.ModeSymlink != 0:
			elsewhere++
		}
		return nil
	})
	switch {
	case err != nil || names != nil:
	case elsewhere > 0:
		err = fmt.Errorf("all pages in %s are symbolic links out of it; check the directory where they are", s.dir)
	default:
		err = fmt.Errorf("there is no Markdown and no HTML file in %s", s.dir)
	}
	return names, err
}

func isHidden(name string) bool { return name != "." && strings.HasPrefix(path.Base(name), ".") }

// The names that pages have, in lower case. Those of Markdown are the ones that GitHub knows.
var (
	markdownNames = []string{".md", ".markdown", ".mdown", ".mkdn", ".mkd", ".mdwn"}
	htmlNames     = []string{".html", ".htm", ".xhtml"}
)

func suffix(name string) string { return strings.ToLower(path.Ext(name)) }

func isMarkdown(name string) bool { return slices.Contains(markdownNames, suffix(name)) }
func isHTMLFile(name string) bool { return slices.Contains(htmlNames, suffix(name)) }

// indexOf returns which of the names in a directory is the page that stands for it, "" if none is: a README before an index, and
// Markdown before HTML.
func indexOf(names []string) string {
	for _, base := range []string{"readme", "index"} {
		for _, is := range []func(name string) bool{isMarkdown, isHTMLFile} {
			for _, name := range names {
				if is(name) && strings.EqualFold(strings.TrimSuffix(name, path.Ext(name)), base) {
					return name
				}
			}
		}
	}
	return ""
}

// ServeHTTP answers a request for a file or a directory.
func (s *fileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if name == "" {
		name = "."
	}
	asDirectory := strings.HasSuffix(r.URL.Path, "/")
	info, err := fs.Stat(s.files, name)
	switch {
	case err != nil && s.leadsOut(name):
		w.WriteHeader(http.StatusNoContent)
	case err != nil:
		s.fail(w, err)
	case info.IsDir() && asDirectory:
		s.serveDirectory(w, r, name)
	case info.IsDir():
		redirect(w, r, name+"/")
	case !info.Mode().IsRegular() || asDirectory:
		s.fail(w, fs.ErrNotExist)
	default:
		s.serveFile(w, r, name, info)
	}
}

// leadsOut reports whether name, which cannot be had from the directory, is there all the same: a symbolic link leads to it. As with
// a link out of the directory, it is only looked at for whether it exists.
func (s *fileServer) leadsOut(name string) bool {
	file := filepath.FromSlash(name)
	if !filepath.IsLocal(file) {
		return false
	}
	_, err := os.Stat(filepath.Join(s.dir, file))
	return err == nil
}

// redirect sends the visitor to another path, given without the slash before it.
func redirect(w http.ResponseWriter, r *http.Request, name string) {
	http.Redirect(w, r, (&url.URL{Path: "/" + name}).String(), http.StatusFound)
}

// fail answers that there is no such file. Of a name that no file can have no more is said than that.
func (s *fileServer) fail(w http.ResponseWriter, err error) {
	status := http.StatusNotFound
	if errors.Is(err, fs.ErrPermission) {
		status = http.StatusForbidden
	}
	http.Error(w, http.StatusText(status), status)
}

// serveDirectory sends the visitor to the page that stands for the directory, or lists what is in it.
func (s *fileServer) serveDirectory(w http.ResponseWriter, r *http.Request, name string) {
	entries, err := fs.ReadDir(s.files, name)
	if err != nil {
		s.fail(w, err)
		return
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	if index := indexOf(names); index != "" {
		redirect(w, r, path.Join(name, index))
		return
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return isHidden(e.Name()) })
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	listing.Execute(w, entries)
}

var listing = template.Must(template.New("listing").Funcs(template.FuncMap{"pathescape": url.PathEscape}).Parse(`<!DOCTYPE html>
<ul>
{{range .}}<li><a href="./{{pathescape .Name}}{{if .IsDir}}/{{end}}">{{.Name}}</a>
{{end}}</ul>
`))

// serveFile serves a file: Markdown as HTML.
func (s *fileServer) serveFile(w http.ResponseWriter, r *http.Request, name string, info fs.FileInfo) {
	f, err := s.files.Open(name)
	if err != nil {
		s.fail(w, err)
		return
	}
	defer f.Close()
	if isHTMLFile(name) {
		w.Header().Set("Content-Type", "text/html") // and no charset: that is said in the file, if at all
	}
	if !isMarkdown(name) {
		http.ServeContent(w, r, name, info.ModTime(), f.(io.ReadSeeker)) // an *os.File, because root.FS opens those
		return
	}
	// A text may begin with a mark that tells in which encoding it is, which is then no part of it.
	source, err := io.ReadAll(transform.NewReader(f, unicode.BOMOverride(transform.Nop)))
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintln(w, "<!DOCTYPE html>")
	converter.Convert(source, w)
}
