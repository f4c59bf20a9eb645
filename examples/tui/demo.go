package main

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"
)

// demo starts a server in this process, and returns the addresses of n files of it.
func demo(n int) (s *httptest.Server, urls []string) {
	s = httptest.NewServer(http.HandlerFunc(serveSlowly))
	for i := range n {
		urls = append(urls, fmt.Sprintf("%s/file-%03d.bin", s.URL, i))
	}
	return s, urls
}

// serveSlowly sends between 50 and 500 kB, some at a time, and fails for one name of 64.
func serveSlowly(w http.ResponseWriter, r *http.Request) {
	h := fnv.New32a()
	h.Write([]byte(r.URL.Path))
	random := int(h.Sum32())
	if random%64 == 0 {
		http.Error(w, "not today", http.StatusServiceUnavailable)
		return
	}
	size := 50_000 + random%450_000
	w.Header().Set("Content-Length", strconv.Itoa(size))
	tick := time.NewTicker(time.Duration(5+random%30) * time.Millisecond)
	defer tick.Stop()
	piece := make([]byte, 8_000)
	for size > 0 {
		n, err := w.Write(piece[:min(size, len(piece))])
		if err != nil {
			return
		}
		size -= n
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}
