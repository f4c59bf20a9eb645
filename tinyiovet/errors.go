package tinyiovet

import (
	"go/ast"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/inspect"
	"golang.org/x/tools/go/ast/inspector"
)

// Errors reports errors of waits that are thrown away.
var Errors = &analysis.Analyzer{
	Name: "coerror",
	Doc: `report the error of a wait that is thrown away

The error of a wait says that the coroutine is being stopped, and it comes again from each later wait at once. A coroutine that goes on
without looking at it works with values that are not there, and one that does so in a loop is unwound in the end. An error that is given to
the blank identifier alone, as in _ = co.Yield(), is taken to be meant.`,
	URL:      "https://pkg.go.dev/github.com/tinyio-go/tinyio/tinyiovet#Errors",
	Requires: []*analysis.Analyzer{inspect.Analyzer},
	Run:      runErrors,
}

func runErrors(pass *analysis.Pass) (any, error) {
	in := pass.ResultOf[inspect.Analyzer].(*inspector.Inspector)
	for at := range in.Root().Preorder((*ast.ExprStmt)(nil), (*ast.AssignStmt)(nil), (*ast.RangeStmt)(nil)) {
		switch n := at.Node().(type) {
		case *ast.ExprStmt:
			if call, ok := ast.Unparen(n.X).(*ast.CallExpr); ok && suspends(pass, call) && !isCleanup(at) {
				pass.ReportRangef(n, "the error of %s is thrown away: it says that the coroutine is being stopped; return it", ours(pass, call))
			}
		case *ast.AssignStmt:
			if len(n.Lhs) < 2 || len(n.Rhs) != 1 {
				continue
			}
			call, ok := ast.Unparen(n.Rhs[0]).(*ast.CallExpr)
			if last, isName := n.Lhs[len(n.Lhs)-1].(*ast.Ident); ok && isName && last.Name == "_" && suspends(pass, call) && !allBlank(n.Lhs) {
				pass.ReportRangef(last, "the error of %s is thrown away, and the value is used: there is none if the coroutine is being stopped; "+
					"return the error", ours(pass, call))
			}
		case *ast.RangeStmt:
			call, ok := ast.Unparen(n.X).(*ast.CallExpr)
			if !ok {
				continue
			}
			switch name := ours(pass, call); name {
			case "AsCompleted", "Every", "Queue.All":
				if id, isName := n.Value.(*ast.Ident); n.Value == nil || isName && id.Name == "_" {
					pass.ReportRangef(call, "the error of %s is thrown away: it says that the coroutine is being stopped; return it", name)
				}
			}
		}
	}
	return nil, nil
}

func allBlank(names []ast.Expr) bool {
	for _, x := range names {
		if id, ok := x.(*ast.Ident); !ok || id.Name != "_" {
			return false
		}
	}
	return true
}

// isCleanup reports that a statement is in a function that is deferred: what it waits for there, it may do in vain.
func isCleanup(at inspector.Cursor) bool {
	for up := at; ; up = up.Parent() {
		switch up.Parent().Node().(type) {
		case nil, *ast.File, *ast.FuncDecl:
			return false
		case *ast.FuncLit:
			if call, ok := up.Parent().Parent().Node().(*ast.CallExpr); ok {
				if _, ok := up.Parent().Parent().Parent().Node().(*ast.DeferStmt); ok && ast.Unparen(call.Fun) == up.Parent().Node() {
					return true
				}
			}
			return false
		}
	}
}
