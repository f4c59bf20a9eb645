package main

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"strings"
)

// A site is what is checked: the pages of one host.
type site struct {
	host  string // without www., see contains
	start []link
	files *fileServer // of a directory, otherwise nil

	user   *url.Userinfo // with whose name and password it is asked, nil if it needs none,
	secret string        // the scheme and host that get to know these
}

// remote is the site of which address is a page.
func remote(address string) (*site, error) {
	address, fragment, _ := strings.Cut(address, "#")
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if u.Host == "" {
		return nil, fmt.Errorf("there is no host in %s", address)
	}
	s := &site{host: strings.TrimPrefix(host(u), "www."), user: u.User, secret: u.Scheme + "://" + host(u)}
	u.User = nil // which is shown to nobody, and is not another page
	s.start = []link{{address: canonical(u), fragment: fragment}}
	return s, nil
}

// close ends the server of a directory.
func (s *site) close() {
	if s.files != nil {
		s.files.close()
	}
}

// contains reports whether u is a page of the site. Many sites send their visitors from http to https, or from www.example.com
// to example.com or the other way; these are one site.
func (s *site) contains(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && strings.TrimPrefix(host(u), "www.") == s.host
}

// isMarkdown reports whether u is a page that is made of Markdown.
func (s *site) isMarkdown(u *url.URL) bool {
	return s.files != nil && s.contains(u) && isMarkdown(u.Path)
}

// name is how an address is shown. Pages of a directory go by the names of their files.
func (s *site) name(address string) string {
	whole := address
	address, fragment, _ := strings.Cut(address, "#")
	u, err := url.Parse(address)
	if err != nil || s.files == nil {
		return whole
	}
	if u.Scheme != "file" && !s.contains(u) {
		return whole
	}
	name := s.files.file(u)
	if strings.HasSuffix(u.Path, "/") {
		name += string(filepath.Separator)
	}
	if u.RawQuery != "" {
		name += "?" + u.RawQuery
	}
	if fragment != "" {
		name += "#" + fragment
	}
	return name
}

// climb returns where ref leads from the page at base, instead of u, which is what a browser makes of it. A browser
// stays at the root of a site when it is told to go above that: on the page README.md, "../LICENSE" is "LICENSE". In a
// directory that is part of a larger tree such a link is meant for a file out of the directory. It gets a file: address
// relative to the directory, which is only looked at for whether it exists.
func (s *fileServer) climb(base, ref, u *url.URL) *url.URL {
	if ref.Path == "" || strings.HasPrefix(ref.Path, "/") {
		return u
	}
	name := path.Join("."+path.Dir(base.Path), ref.Path)
	if name != ".." && !strings.HasPrefix(name, "../") {
		return u
	}
	return &url.URL{Scheme: "file", Path: "/" + name}
}

// file is the file that u stands for: an address made by climb, or a page.
func (s *fileServer) file(u *url.URL) string {
	return filepath.Join(s.dir, filepath.FromSlash("./"+u.Path))
}
