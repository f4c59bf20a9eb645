package debian

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "put what comes of the tests into README.md")

// publish puts a text into README.md, between the marks of that name, if that is asked for and all is well.
func publish(t *testing.T, name, text string) {
	t.Helper()
	if !*update || t.Failed() {
		return
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n"
	before, rest, ok := strings.Cut(string(readme), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("there are no marks for %s in README.md", name)
	}
	write(t, "README.md", before+begin+text+end+after)
}
