// Package tinyiovet finds mistakes in programs that use tinyio, before they run. The command of the same name runs all of it, by itself or for
// go vet:
//
//	go install github.com/tinyio-go/tinyio/tinyiovet/cmd/tinyiovet@latest
//	go vet -vettool=$(which tinyiovet) ./...
//
// What it reports is wrong, or close to always wrong. What it cannot be sure of, it leaves: a call through an interface that it does not
// know, a function in a variable.
package tinyiovet

import (
	"go/ast"
	"go/types"
	"slices"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/ast/inspector"
	"golang.org/x/tools/go/types/typeutil"
)

// Analyzers are all analyzers of this package.
var Analyzers = []*analysis.Analyzer{Block, Escape, Dropped, Again, Errors}

// root is the path of package tinyio.
const root = "github.com/tinyio-go/tinyio"

// isNamed reports whether t is a pointer to the type of that name in package tinyio.
func isNamed(t types.Type, name string) bool {
	if t == nil {
		return false
	}
	p, ok := types.Unalias(t).(*types.Pointer)
	if !ok {
		return false
	}
	n, ok := types.Unalias(p.Elem()).(*types.Named)
	return ok && n.Obj().Name() == name && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == root
}

func isCo(t types.Type) bool   { return isNamed(t, "Co") }
func isCoro(t types.Type) bool { return isNamed(t, "Coro") }

// hasCo reports whether a function takes a Co.
func hasCo(s *types.Signature) bool {
	for v := range s.Params().Variables() {
		if isCo(v.Type()) {
			return true
		}
	}
	return false
}

// takesCo reports whether a function literal takes a Co.
func takesCo(pass *analysis.Pass, lit *ast.FuncLit) bool {
	s, ok := pass.TypesInfo.TypeOf(lit).(*types.Signature)
	return ok && hasCo(s)
}

// callee returns the function that a call calls, if that is known: a function, a method, or a method of an interface.
func callee(pass *analysis.Pass, call *ast.CallExpr) *types.Func {
	f, _ := typeutil.Callee(pass.TypesInfo, call).(*types.Func)
	if f != nil {
		f = f.Origin()
	}
	return f
}

// ours returns the name of the exported function or method of package tinyio that a call calls, such as "Gather" or "Co.Sleep"; "" if it calls
// anything else.
func ours(pass *analysis.Pass, call *ast.CallExpr) string {
	f := callee(pass, call)
	if f == nil || f.Pkg() == nil || f.Pkg().Path() != root || !f.Exported() {
		return ""
	}
	recv := f.Signature().Recv()
	if recv == nil {
		return f.Name()
	}
	t := types.Unalias(recv.Type())
	if p, ok := t.(*types.Pointer); ok {
		t = types.Unalias(p.Elem())
	}
	if n, ok := t.(*types.Named); ok {
		return n.Obj().Name() + "." + f.Name()
	}
	return ""
}

// lastIsError reports whether the last result of a call is an error.
func lastIsError(pass *analysis.Pass, call *ast.CallExpr) bool {
	s, ok := pass.TypesInfo.TypeOf(call.Fun).(*types.Signature)
	if !ok || s.Results().Len() == 0 {
		return false
	}
	return types.Identical(s.Results().At(s.Results().Len()-1).Type(), types.Universe.Lookup("error").Type())
}

// values are the waits whose error is a value, and does not mean that the coroutine is being stopped.
var values = []string{"Call", "Co.Call", "CallInterruptible", "Isolate", "First", "Timeout", "Coro.Cancel"}

// suspends reports whether a call is a wait whose error means that the coroutine is being stopped.
func suspends(pass *analysis.Pass, call *ast.CallExpr) bool {
	name := ours(pass, call)
	if name == "" || slices.Contains(values, name) || !lastIsError(pass, call) {
		return false
	}
	s := callee(pass, call).Signature()
	return hasCo(s) || s.Recv() != nil && isCo(s.Recv().Type()) && name != "Co.Err"
}

// mayWait reports whether a call may let others have a turn.
func mayWait(pass *analysis.Pass, call *ast.CallExpr) bool {
	if name := ours(pass, call); name != "" {
		return suspends(pass, call) || slices.Contains(values, name) || name == "Co.Shield"
	}
	for _, a := range call.Args {
		if isCo(pass.TypesInfo.TypeOf(a)) {
			return true
		}
	}
	return false
}

// A where says where a function literal runs.
type where uint8

const (
	unknown   where = iota
	here            // on the goroutine of the function around it, before that goes on or when it returns
	goroutine       // on another goroutine, as one of its own or a thread
	coroutine       // in another coroutine
)

// elsewhere are functions that call a function on another goroutine.
var elsewhere = map[string]bool{
	root + ".RunInThread": true, root + ".RunInPool": true, root + ".MapInPool": true,
	root + ".Call": true, root + ".CallInterruptible": true, "(*" + root + ".Co).Call": true,
	"time.AfterFunc": true, "context.AfterFunc": true, "(*sync.WaitGroup).Go": true,
	"(*golang.org/x/sync/errgroup.Group).Go": true, "(*golang.org/x/sync/errgroup.Group).TryGo": true,
}

// runs says where a function literal runs, and the name of the function that sees to that.
func runs(pass *analysis.Pass, at inspector.Cursor) (where, string) {
	lit := at.Node().(*ast.FuncLit)
	up := at.Parent()
	for {
		if _, ok := up.Node().(*ast.ParenExpr); !ok {
			break
		}
		up = up.Parent()
	}
	call, ok := up.Node().(*ast.CallExpr)
	if !ok {
		return unknown, ""
	}
	if ast.Unparen(call.Fun) == lit {
		if _, ok := up.Parent().Node().(*ast.GoStmt); ok {
			return goroutine, "a goroutine"
		}
		return here, ""
	}
	f := callee(pass, call)
	if f == nil {
		return unknown, ""
	}
	switch name := ours(pass, call); {
	case elsewhere[f.FullName()]:
		return goroutine, "the function of " + f.Name()
	case name == "Co.Shield":
		return here, ""
	case name == "New" || name == "Do" || name == "Go" || name == "Co.Go":
		return coroutine, "another coroutine"
	case takesCo(pass, lit) && !givesCo(pass, call):
		return coroutine, "another coroutine"
	}
	return unknown, ""
}

// givesCo reports that a call gives a Co to what it calls, which may give it on to a function.
func givesCo(pass *analysis.Pass, call *ast.CallExpr) bool {
	if sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok && isCo(pass.TypesInfo.TypeOf(sel.X)) {
		return true
	}
	return slices.ContainsFunc(call.Args, func(a ast.Expr) bool { return isCo(pass.TypesInfo.TypeOf(a)) })
}

// within calls visit for the nodes of a function's body that run on its goroutine. In function literals they do if these are called
// where they stand; those that take a Co are functions for themselves. If visit returns false, what is below is left out.
func within(pass *analysis.Pass, body inspector.Cursor, visit func(at inspector.Cursor) bool) {
	body.Inspect(nil, func(at inspector.Cursor) bool {
		if lit, ok := at.Node().(*ast.FuncLit); ok {
			if w, _ := runs(pass, at); w != here || takesCo(pass, lit) {
				return false
			}
		}
		return visit(at)
	})
}

// A function is a declaration or a literal.
type function struct {
	body inspector.Cursor
	lit  *ast.FuncLit  // or
	decl *ast.FuncDecl // with
	obj  *types.Func
}

// functions returns the functions of a package that have a body.
func functions(pass *analysis.Pass, in *inspector.Inspector) (all []function) {
	for at := range in.Root().Preorder((*ast.FuncDecl)(nil), (*ast.FuncLit)(nil)) {
		switch n := at.Node().(type) {
		case *ast.FuncDecl:
			if obj, ok := pass.TypesInfo.Defs[n.Name].(*types.Func); ok && n.Body != nil {
				body, _ := at.FindNode(n.Body)
				all = append(all, function{body: body, decl: n, obj: obj})
			}
		case *ast.FuncLit:
			body, _ := at.FindNode(n.Body)
			all = append(all, function{body: body, lit: n})
		}
	}
	return all
}

// onCoroutine reports whether f has the goroutine of a coroutine: it takes a Co.
func (f function) onCoroutine(pass *analysis.Pass) bool {
	if f.lit != nil {
		return takesCo(pass, f.lit)
	}
	return hasCo(f.obj.Signature()) || f.obj.Signature().Recv() != nil && isCo(f.obj.Signature().Recv().Type())
}
