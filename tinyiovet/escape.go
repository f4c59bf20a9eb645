package tinyiovet

import (
	"go/ast"
	"go/types"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/inspect"
	"golang.org/x/tools/go/ast/inspector"
)

// Escape reports a Co that is used where it does not belong.
var Escape = &analysis.Analyzer{
	Name: "coescape",
	Doc: `report a Co that is used in another coroutine, goroutine or thread than its own

A *tinyio.Co is for the function that it was given to, on the goroutine of that. Waiting through one that was captured from a function around
panics. As a context a Co may be used anywhere.`,
	URL:      "https://pkg.go.dev/github.com/tinyio-go/tinyio/tinyiovet#Escape",
	Requires: []*analysis.Analyzer{inspect.Analyzer},
	Run:      runEscape,
}

func runEscape(pass *analysis.Pass) (any, error) {
	in := pass.ResultOf[inspect.Analyzer].(*inspector.Inspector)
	helpers := capturing(pass, in)
	for at := range in.Root().Preorder((*ast.FuncLit)(nil), (*ast.GoStmt)(nil)) {
		switch n := at.Node().(type) {
		case *ast.GoStmt:
			for _, a := range n.Call.Args {
				if id, ok := ast.Unparen(a).(*ast.Ident); ok && isGiven(pass, n.Call, id) {
					pass.ReportRangef(id, "the Co %s is given to a goroutine; it is for its own coroutine alone", id.Name)
				}
			}
			if sel, ok := ast.Unparen(n.Call.Fun).(*ast.SelectorExpr); ok && isCo(pass.TypesInfo.TypeOf(sel.X)) && !ofContext(sel.Sel.Name) {
				pass.ReportRangef(sel, "a method of a Co is called on a goroutine; it is for its own coroutine alone")
			}
		case *ast.FuncLit:
			w, place := runs(pass, at)
			if w != goroutine && w != coroutine {
				continue
			}
			for _, use := range uses(pass, at) {
				if !inside(n, pass.TypesInfo.Uses[use]) {
					pass.ReportRangef(use, "the Co %s of a function around is used in %s; use the Co that this is given%s", use.Name, place, thread(w))
				}
			}
			for c := range at.Preorder((*ast.CallExpr)(nil)) {
				id, ok := ast.Unparen(c.Node().(*ast.CallExpr).Fun).(*ast.Ident)
				if !ok || innermost(pass, c) != n {
					continue
				}
				f := pass.TypesInfo.Uses[id]
				if co := helpers[f]; co != nil && !inside(n, f) && !inside(n, co) {
					pass.ReportRangef(id, "%s waits through %s, the Co of a function around, in %s", id.Name, co.Name(), place)
				}
			}
		}
	}
	return nil, nil
}

// thread is what to do where there is no Co.
func thread(w where) string {
	if w == goroutine {
		return ", or do without"
	}
	return ""
}

// inside reports whether an object is declared in a literal.
func inside(lit *ast.FuncLit, obj types.Object) bool {
	return obj != nil && lit.Pos() <= obj.Pos() && obj.Pos() < lit.End()
}

// innermost returns the function literal around a node that runs elsewhere than the one around it.
func innermost(pass *analysis.Pass, at inspector.Cursor) *ast.FuncLit {
	for up := at.Parent(); up.Node() != nil; up = up.Parent() {
		lit, ok := up.Node().(*ast.FuncLit)
		if !ok {
			if _, ok := up.Node().(*ast.File); ok {
				return nil
			}
			continue
		}
		if w, _ := runs(pass, up); w == goroutine || w == coroutine {
			return lit
		}
	}
	return nil
}

// ofContext reports whether a method of a Co may be called anywhere.
func ofContext(name string) bool {
	switch name {
	case "Deadline", "Done", "Err", "Value", "Name":
		return true
	}
	return false
}

// uses returns the uses of Cos in a literal for more than their contexts, but for those in literals inside that run elsewhere again.
func uses(pass *analysis.Pass, at inspector.Cursor) (found []*ast.Ident) {
	at.Inspect(nil, func(c inspector.Cursor) bool {
		switch n := c.Node().(type) {
		case *ast.FuncLit:
			if n != at.Node() {
				w, _ := runs(pass, c)
				return w != goroutine && w != coroutine
			}
		case *ast.Ident:
			if v, ok := pass.TypesInfo.Uses[n].(*types.Var); !ok || v.IsField() || !isCo(v.Type()) {
				return true
			}
			switch p := c.Parent().Node().(type) {
			case *ast.SelectorExpr:
				if p.X == n && !ofContext(p.Sel.Name) {
					found = append(found, n)
				}
			case *ast.CallExpr:
				if isGiven(pass, p, n) {
					found = append(found, n)
				}
			}
		}
		return true
	})
	return found
}

// isGiven reports whether a call has an identifier as an argument for a Co.
func isGiven(pass *analysis.Pass, call *ast.CallExpr, id *ast.Ident) bool {
	s, ok := pass.TypesInfo.TypeOf(call.Fun).(*types.Signature)
	if !ok {
		return false
	}
	for i, a := range call.Args {
		if ast.Unparen(a) == id && i < s.Params().Len() && isCo(s.Params().At(i).Type()) {
			return true
		}
	}
	return false
}

// capturing returns the local variables that are functions without a Co of their own and wait through that of a function around.
func capturing(pass *analysis.Pass, in *inspector.Inspector) map[types.Object]types.Object {
	found := map[types.Object]types.Object{}
	for at := range in.Root().Preorder((*ast.FuncLit)(nil)) {
		lit := at.Node().(*ast.FuncLit)
		a, ok := at.Parent().Node().(*ast.AssignStmt)
		if !ok || len(a.Lhs) != len(a.Rhs) || takesCo(pass, lit) {
			continue
		}
		for i, r := range a.Rhs {
			id, ok := a.Lhs[i].(*ast.Ident)
			if r != lit || !ok {
				continue
			}
			for _, use := range uses(pass, at) {
				if co := pass.TypesInfo.Uses[use]; !inside(lit, co) {
					found[pass.TypesInfo.ObjectOf(id)] = co
				}
			}
		}
	}
	return found
}
