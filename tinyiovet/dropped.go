package tinyiovet

import (
	"go/ast"
	"slices"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/inspect"
	"golang.org/x/tools/go/ast/inspector"
)

// Dropped reports a coroutine that is made and dropped.
var Dropped = &analysis.Analyzer{
	Name: "codropped",
	Doc: `report a coroutine that is made and dropped

A coroutine runs when somebody wants it: awaits it, gathers it, spawns it. One that is made, and of which nothing is kept, never runs.`,
	URL:       "https://pkg.go.dev/github.com/tinyio-go/tinyio/tinyiovet#Dropped",
	Requires:  []*analysis.Analyzer{inspect.Analyzer},
	Run:       runDropped,
	FactTypes: []analysis.Fact{new(makes)},
}

// A makes is the fact that a function makes a coroutine, returns it, and does nothing else with it.
type makes struct{}

func (*makes) AFact()         {}
func (*makes) String() string { return "makes" }

func runDropped(pass *analysis.Pass) (any, error) {
	in := pass.ResultOf[inspect.Analyzer].(*inspector.Inspector)
	all := functions(pass, in)
	for changed := true; changed; {
		changed = false
		for _, f := range all {
			if f.obj != nil && pass.Pkg.Path() != root && !pass.ImportObjectFact(f.obj, new(makes)) && onlyMakes(pass, f) {
				pass.ExportObjectFact(f.obj, new(makes))
				changed = true
			}
		}
	}
	for at := range in.Root().Preorder((*ast.ExprStmt)(nil), (*ast.AssignStmt)(nil)) {
		var dropped []ast.Expr
		switch n := at.Node().(type) {
		case *ast.ExprStmt:
			dropped = []ast.Expr{n.X}
		case *ast.AssignStmt:
			for i, l := range n.Lhs {
				if id, ok := l.(*ast.Ident); ok && id.Name == "_" && len(n.Lhs) == len(n.Rhs) {
					dropped = append(dropped, n.Rhs[i])
				}
			}
		}
		for _, x := range dropped {
			if isMade(pass, x) {
				pass.ReportRangef(x, "the coroutine is made and dropped, so it never runs; await it, spawn it, or make it with Go")
			}
		}
	}
	return nil, nil
}

// onlyMakes reports that each return of a function returns what a call makes.
func onlyMakes(pass *analysis.Pass, f function) bool {
	returns := 0
	only := true
	f.body.Inspect([]ast.Node{(*ast.ReturnStmt)(nil), (*ast.FuncLit)(nil)}, func(at inspector.Cursor) bool {
		r, ok := at.Node().(*ast.ReturnStmt)
		if !ok {
			return false
		}
		returns++
		if len(r.Results) != 1 || !isMade(pass, r.Results[0]) {
			only = false
		}
		return true
	})
	return only && returns > 0
}

// makers are the functions of package tinyio that make a coroutine.
var makers = []string{"New", "Do", "RunInThread", "RunInPool", "MapInPool", "FromCallback"}

// isMade reports that an expression is a call that makes a coroutine, of which nothing else is known then.
func isMade(pass *analysis.Pass, x ast.Expr) bool {
	call, ok := ast.Unparen(x).(*ast.CallExpr)
	if !ok || !isCoro(pass.TypesInfo.TypeOf(x)) {
		return false
	}
	name := ours(pass, call)
	if name == "Coro.Named" { // which gives back what it is called on
		sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
		return ok && isMade(pass, sel.X)
	}
	f := callee(pass, call)
	return slices.Contains(makers, name) || f != nil && pass.ImportObjectFact(f, new(makes))
}
