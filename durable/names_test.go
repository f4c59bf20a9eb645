package durable

import "testing"

func TestStableName(t *testing.T) {
	for name, want := range map[string]string{
		"main.order.func2.1":                      "order.func",
		"main.order.func3.1":                      "order.func",
		"main.main.order.func4":                   "order.func", // inlined
		"main.main.main.func3.order.func12":       "order.func", // inlined into a literal
		"example.com/x/a.Mk.func1":                "Mk.func",
		"main.main.Mk.func5":                      "Mk.func",
		"main.main.MkG[...].func6":                "MkG.func",
		"example.com/a.MkG[...].func1":            "MkG.func",
		"main.(*S).M.func1":                       "(*S).M.func",
		"main.main.(*S).M.func7":                  "(*S).M.func",
		"example.com/a.T.V.func1":                 "V.func",
		"main.main.T.V.func9":                     "V.func",
		"main.nest.func1.1":                       "nest.func",
		"main.nest.nest.func1.func2":              "nest.func",
		"main.main.main.func2.main-range1.func11": "main.func",
		"main.main.func2.main-range1":             "main.func",
		"main.init.func1":                         "init.func",
		"glob..func1":                             "glob.func",
		"main.(*S).Plain-fm":                      "main.(*S).Plain",
		"example.com/pay.Charge":                  "example.com/pay.Charge",
		"example.com/pay.Charge[...]":             "example.com/pay.Charge",
		"charge":                                  "charge",
		"item.1":                                  "item.1", // given with Named
		"v1.2":                                    "v1.2",
		"":                                        "",
		"main.order.func1.(*T).m.func2":           "(*T).m.func",
		"github.com/a/b.v2.order.func1.gowrap1":   "order.func",
		"github.com/tinyio-go/tinyio/x.RunOrder.func1.2.3": "RunOrder.func",
	} {
		if got := stableName(name); got != want {
			t.Errorf("stableName(%q) is %q, want %q", name, got, want)
		}
	}
}
