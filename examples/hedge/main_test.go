package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The program prints the page of the address that answers, and has withdrawn its request to the other by then.
func TestProgram(t *testing.T) {
	asked, withdrawn := make(chan struct{}), make(chan struct{})
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
		close(withdrawn)
	}))
	defer stuck.Close()
	fine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-asked
		io.WriteString(w, "page\n")
	}))
	defer fine.Close()

	var stdout, stderr strings.Builder
	status := run(t.Context(), []string{"-after", "1ms", stuck.URL, fine.URL}, &stdout, &stderr)
	<-withdrawn
	if status != 0 || stdout.String() != "page\n" || stderr.Len() > 0 {
		t.Errorf("the status is %d, the output %q, the errors %q", status, stdout.String(), stderr.String())
	}
}

func TestProgramWhenAllFail(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	var stdout, stderr strings.Builder
	status := run(t.Context(), []string{server.URL + "/a", server.URL + "/b"}, &stdout, &stderr)
	want := "hedge: SITE/a: 404 Not Found\nSITE/b: 404 Not Found\n"
	if got := strings.ReplaceAll(stderr.String(), server.URL, "SITE"); status != 1 || stdout.Len() > 0 || got != want {
		t.Errorf("the status is %d, the output %q, the errors %q, want %q", status, stdout.String(), got, want)
	}
}

func TestProgramIsToldNothing(t *testing.T) {
	for _, args := range [][]string{nil, {"-nonsense"}} {
		var stdout, stderr strings.Builder
		if status := run(t.Context(), args, &stdout, &stderr); status != 2 || !strings.Contains(stderr.String(), "usage: hedge") {
			t.Errorf("%q: the status is %d, the errors %q", args, status, stderr.String())
		}
	}
}
