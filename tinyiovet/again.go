package tinyiovet

import (
	"go/ast"
	"go/token"
	"go/types"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/inspect"
	"golang.org/x/tools/go/ast/inspector"
)

// Again reports a coroutine that is to run again and again.
var Again = &analysis.Analyzer{
	Name: "coagain",
	Doc: `report a coroutine that is run again and again in a loop

A coroutine runs once. A loop that tries the same one again, in a Timeout or an Isolate, gets the same result each time; one that spawns it
again does nothing. Make a new one for each time, inside the loop.`,
	URL:      "https://pkg.go.dev/github.com/tinyio-go/tinyio/tinyiovet#Again",
	Requires: []*analysis.Analyzer{inspect.Analyzer},
	Run:      runAgain,
}

// attempts are the functions that are given a coroutine to run it, and not for its result; which of the arguments it is.
var attempts = map[string]int{
	"Timeout": 1, "Isolate": 1, "First": 1, "Run": 1, "RunOn": 2, "Submit": 2, "Co.Spawn": 0, "Co.SpawnDaemon": 0, "Loop.Post": 0,
}

func runAgain(pass *analysis.Pass) (any, error) {
	in := pass.ResultOf[inspect.Analyzer].(*inspector.Inspector)
	for at := range in.Root().Preorder((*ast.CallExpr)(nil)) {
		call := at.Node().(*ast.CallExpr)
		name := ours(pass, call)
		first, ok := attempts[name]
		if !ok || call.Ellipsis.IsValid() {
			continue
		}
		loop, ok := loopAround(at)
		if !ok {
			continue
		}
		for _, a := range call.Args[min(first, len(call.Args)):] {
			id, ok := ast.Unparen(a).(*ast.Ident)
			if !ok || !isCoro(pass.TypesInfo.TypeOf(a)) {
				continue
			}
			if v, ok := pass.TypesInfo.Uses[id].(*types.Var); ok && !isSetIn(pass, loop, v) {
				pass.ReportRangef(id, "%s is made outside the loop, and a coroutine runs once: each time but the first %s gets the same result; "+
					"make a new one each time", id.Name, name)
			}
		}
	}
	return nil, nil
}

// loopAround returns the innermost loop in which a node is reached more than once.
func loopAround(at inspector.Cursor) (inspector.Cursor, bool) {
	for up := at; ; up = up.Parent() {
		switch n := up.Parent().Node().(type) {
		case *ast.ForStmt:
			if up.Node() == n.Body && !isLeft(n.Body) {
				return up.Parent(), true
			}
		case *ast.RangeStmt:
			if up.Node() == n.Body && !isLeft(n.Body) {
				return up.Parent(), true
			}
		case nil, *ast.FuncLit, *ast.FuncDecl, *ast.File:
			return up, false
		}
	}
}

// isLeft reports that the body of a loop ends with leaving it.
func isLeft(body *ast.BlockStmt) bool {
	if len(body.List) == 0 {
		return false
	}
	switch n := body.List[len(body.List)-1].(type) {
	case *ast.ReturnStmt:
		return true
	case *ast.BranchStmt:
		return n.Tok == token.BREAK || n.Tok == token.GOTO
	}
	return false
}

// isSetIn reports whether a variable is declared in a loop, or may get another value there.
func isSetIn(pass *analysis.Pass, loop inspector.Cursor, v *types.Var) bool {
	if n := loop.Node(); n.Pos() <= v.Pos() && v.Pos() < n.End() {
		return true
	}
	for at := range loop.Preorder((*ast.AssignStmt)(nil), (*ast.UnaryExpr)(nil), (*ast.RangeStmt)(nil)) {
		var set []ast.Expr
		switch n := at.Node().(type) {
		case *ast.AssignStmt:
			set = n.Lhs
		case *ast.RangeStmt:
			set = []ast.Expr{n.Key, n.Value}
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				set = []ast.Expr{n.X}
			}
		}
		for _, x := range set {
			if id, ok := x.(*ast.Ident); ok && pass.TypesInfo.ObjectOf(id) == v {
				return true
			}
		}
	}
	return false
}
