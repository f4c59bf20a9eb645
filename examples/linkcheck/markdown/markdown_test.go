package markdown

import (
	"strings"
	"testing"
)

// The headings have the ids that they have on GitHub.
func TestAnchors(t *testing.T) {
	var b strings.Builder
	err := New().Convert([]byte("# A plain Heading\n## With `co.Yield()` & a [link](x)\n### A plain heading\n#### *Été*, a_b-c: 1.2!\n"+
		"# a plain heading 1\n# A plain heading\n# &lt;T&gt; \\*x\\*\nSet\nText\n===\n# ![image](i.png) 日本\n"), &b)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for rest := b.String(); ; {
		_, after, found := strings.Cut(rest, ` id="`)
		if !found {
			break
		}
		var id string
		id, rest, _ = strings.Cut(after, `"`)
		ids = append(ids, id)
	}
	want := "a-plain-heading with-coyield--a-link a-plain-heading-1 été-a_b-c-12 a-plain-heading-1-1 a-plain-heading-2 t-x set-text -日本"
	if got := strings.Join(ids, " "); got != want {
		t.Errorf("the ids are %s, want %s", got, want)
	}
}
