package tinyiovet

import (
	"cmp"
	"go/ast"
	"go/token"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/inspect"
	"golang.org/x/tools/go/ast/inspector"
)

// Block reports what blocks a loop.
var Block = &analysis.Analyzer{
	Name: "coblock",
	Doc: `report what blocks a whole loop

A coroutine that blocks keeps all others of its loop from running. In functions that take a *tinyio.Co, coblock reports calls that sleep, wait,
or use the network, a database or a command; sends, receives and selects on channels; and a mutex that is held while others have their
turns. A function that makes such a call is reported where a coroutine calls it, also from another package.`,
	URL:       "https://pkg.go.dev/github.com/tinyio-go/tinyio/tinyiovet#Block",
	Requires:  []*analysis.Analyzer{inspect.Analyzer},
	Run:       runBlock,
	FactTypes: []analysis.Fact{new(blocks)},
}

// A blocks is the fact that a function blocks, in a call that it makes itself or that what it calls makes.
type blocks struct{ In string }

func (*blocks) AFact()           {}
func (b *blocks) String() string { return "blocks in " + b.In }

const inCall = "put it in tinyio.Call"

// blocking are calls that block, and what to do instead.
var blocking = map[string]string{
	"time.Sleep":                                      "use co.Sleep",
	"(*sync.WaitGroup).Wait":                          "use co.Wait for coroutines, or " + inCall,
	"(*sync.Cond).Wait":                               "use a tinyio.Event",
	"(*golang.org/x/sync/errgroup.Group).Wait":        "use tinyio.Gather, or " + inCall,
	"(*golang.org/x/sync/semaphore.Weighted).Acquire": "use a tinyio.Semaphore",
	root + ".Submit":                                  "await the coroutine",
	"(*" + root + ".Loop).Serve":                      inCall,
	"(*" + root + ".Loop).Snapshot":                   "use Status, or " + inCall,
	"(*os/exec.Cmd).Run":                              inCall,
	"(*os/exec.Cmd).Wait":                             inCall,
	"(*os/exec.Cmd).Output":                           inCall,
	"(*os/exec.Cmd).CombinedOutput":                   inCall,
	"(*os.Process).Wait":                              inCall,
	"fmt.Scan":                                        inCall,
	"fmt.Scanln":                                      inCall,
	"fmt.Scanf":                                       inCall,
	"(*net/http.Server).Serve":                        inCall,
	"(*net/http.Server).ServeTLS":                     inCall,
	"(*net/http.Server).Shutdown":                     inCall,
	"(*net/http.Transport).RoundTrip":                 inCall,
	"(net/http.RoundTripper).RoundTrip":               inCall,
	"(net.Listener).Accept":                           inCall,
	"(net.Conn).Read":                                 inCall,
	"(net.Conn).Write":                                inCall,
}

func init() {
	add := func(prefix string, names string) {
		for name := range strings.FieldsSeq(names) {
			blocking[prefix+name] = inCall
		}
	}
	add("net.", "Dial DialTimeout DialTCP DialUDP DialUnix LookupAddr LookupCNAME LookupHost LookupIP LookupMX LookupNS LookupPort LookupSRV LookupTXT")
	add("(*net.Dialer).", "Dial DialContext")
	add("(*net.Resolver).", "LookupAddr LookupCNAME LookupHost LookupIP LookupIPAddr LookupMX LookupNetIP LookupNS LookupPort LookupSRV LookupTXT")
	for _, conn := range []string{"TCPConn", "UDPConn", "UnixConn", "conn"} {
		add("(*net."+conn+").", "Read Write ReadFrom WriteTo")
	}
	add("(*net.TCPListener).", "Accept AcceptTCP")
	add("(*net.UnixListener).", "Accept AcceptUnix")
	add("net/http.", "Get Head Post PostForm ListenAndServe ListenAndServeTLS Serve ServeTLS")
	add("(*net/http.Client).", "Do Get Head Post PostForm")
	add("(*net/http.Server).", "ListenAndServe ListenAndServeTLS")
	add("(*database/sql.DB).", "Begin BeginTx Conn Exec ExecContext Ping PingContext Prepare PrepareContext Query QueryContext QueryRow QueryRowContext")
	add("(*database/sql.Conn).", "BeginTx ExecContext PingContext PrepareContext QueryContext QueryRowContext")
	add("(*database/sql.Tx).", "Commit Exec ExecContext Prepare PrepareContext Query QueryContext QueryRow QueryRowContext Rollback")
	add("(*database/sql.Stmt).", "Exec ExecContext Query QueryContext QueryRow QueryRowContext")
	add("(*database/sql.Row).", "Scan")
	add("(*database/sql.Rows).", "Next NextResultSet")
}

// readers are functions that read an argument to its end.
var readers = map[string]bool{"io.ReadAll": true, "io.Copy": true, "io.CopyN": true, "io.CopyBuffer": true, "io.ReadFull": true}

func runBlock(pass *analysis.Pass) (any, error) {
	in := pass.ResultOf[inspect.Analyzer].(*inspector.Inspector)
	if isStandard(pass) { // what blocks there is in the table; what may block for a moment is not worth a word
		return nil, nil
	}
	all := functions(pass, in)
	exportBlocks(pass, all)
	for _, f := range all {
		if !f.onCoroutine(pass) {
			continue
		}
		within(pass, f.body, func(at inspector.Cursor) bool {
			if w, in, advice := f.blocksAt(pass, at); w != "" {
				if in != "" {
					in = ", in " + in
				}
				pass.ReportRangef(at.Node(), "%s blocks the whole loop%s; %s", w, in, advice)
			}
			return true
		})
		f.reportMutexes(pass)
	}
	return nil, nil
}

// isStandard reports that a package is of the standard library.
func isStandard(pass *analysis.Pass) bool {
	first, _, _ := strings.Cut(pass.Pkg.Path(), "/")
	return !strings.Contains(first, ".") && (pass.Module == nil || pass.Module.Path == "" || pass.Module.Path == "std")
}

// exportBlocks finds the functions of the package that block, those included that call others of them.
func exportBlocks(pass *analysis.Pass, all []function) {
	for changed := true; changed; {
		changed = false
		for _, f := range all {
			if f.obj == nil || f.onCoroutine(pass) || pass.Pkg.Path() == root || pass.ImportObjectFact(f.obj, new(blocks)) {
				continue
			}
			found := ""
			within(pass, f.body, func(at inspector.Cursor) bool {
				if call, ok := at.Node().(*ast.CallExpr); ok && found == "" {
					what, in, _ := blocksInCall(pass, call)
					found = cmp.Or(in, what)
					if _, ok := at.Parent().Node().(*ast.GoStmt); ok {
						found = ""
					}
				}
				return found == ""
			})
			if found != "" {
				pass.ExportObjectFact(f.obj, &blocks{found})
				changed = true
			}
		}
	}
}

// blocksInCall says what blocks if a function is called, and in which call of its own or below it does.
func blocksInCall(pass *analysis.Pass, call *ast.CallExpr) (what, in, advice string) {
	f := callee(pass, call)
	if f == nil {
		return "", "", ""
	}
	name := f.FullName()
	if advice, ok := blocking[name]; ok {
		return short(name), "", advice
	}
	if readers[name] {
		for _, a := range call.Args {
			if sel, ok := ast.Unparen(a).(*ast.SelectorExpr); ok && sel.Sel.Name == "Body" && isOf(pass.TypesInfo.TypeOf(sel.X), "net/http") {
				return short(name) + " of a body from the network", "", inCall
			}
		}
	}
	var b blocks
	if !hasCo(f.Signature()) && pass.ImportObjectFact(f, &b) {
		return f.Name(), b.In, inCall
	}
	return "", "", ""
}

// short is the name of a function without the path of its package.
func short(name string) string {
	name = strings.NewReplacer("(*", "", "(", "", ")", "").Replace(name)
	return name[strings.LastIndexByte(name, '/')+1:]
}

// isOf reports whether t is a type of a package, or a pointer to one.
func isOf(t types.Type, path string) bool {
	if t == nil {
		return false
	}
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == path
}

// blocksAt says what blocks at a node of a coroutine.
func (f function) blocksAt(pass *analysis.Pass, at inspector.Cursor) (what, in, advice string) {
	switch n := at.Node().(type) {
	case *ast.CallExpr:
		if _, ok := at.Parent().Node().(*ast.GoStmt); !ok {
			return blocksInCall(pass, n)
		}
	case *ast.UnaryExpr:
		if n.Op == token.ARROW && !inComm(at) {
			return "a receive", "", "use tinyio.Recv"
		}
	case *ast.SendStmt:
		if !inComm(at) && !f.hasRoom(pass, n.Chan) {
			return "a send", "", "use tinyio.Send"
		}
	case *ast.SelectStmt:
		for _, c := range n.Body.List {
			if c.(*ast.CommClause).Comm == nil {
				return "", "", ""
			}
		}
		return "a select without default", "", "wait for one of several coroutines that receive, with tinyio.WaitAny"
	case *ast.RangeStmt:
		if t := pass.TypesInfo.TypeOf(n.X); t != nil {
			if _, ok := t.Underlying().(*types.Chan); ok {
				return "a range over a channel", "", "use tinyio.Recv in a loop"
			}
		}
	}
	return "", "", ""
}

// inComm reports that a node is the communication of a select, which blocks or does not.
func inComm(at inspector.Cursor) bool {
	for up := at; ; up = up.Parent() {
		switch n := up.Parent().Node().(type) {
		case *ast.CommClause:
			return n.Comm != nil && n.Comm == up.Node()
		case *ast.ExprStmt, *ast.AssignStmt, *ast.ParenExpr:
		default:
			return false
		}
	}
}

// hasRoom reports that a channel is a variable that is made with a capacity: a send on it is taken to find room.
func (f function) hasRoom(pass *analysis.Pass, ch ast.Expr) bool {
	id, ok := ast.Unparen(ch).(*ast.Ident)
	if !ok {
		return false
	}
	v, ok := pass.TypesInfo.Uses[id].(*types.Var)
	if !ok {
		return false
	}
	room := false
	for at := range f.body.Inspector().Root().Preorder((*ast.AssignStmt)(nil), (*ast.ValueSpec)(nil)) {
		var names, made []ast.Expr
		switch n := at.Node().(type) {
		case *ast.AssignStmt:
			names, made = n.Lhs, n.Rhs
		case *ast.ValueSpec:
			made = n.Values
			for _, name := range n.Names {
				names = append(names, name)
			}
		}
		if len(names) != len(made) {
			continue
		}
		for i, name := range names {
			if id, ok := name.(*ast.Ident); !ok || pass.TypesInfo.ObjectOf(id) != v {
				continue
			}
			call, ok := ast.Unparen(made[i]).(*ast.CallExpr)
			if !ok || len(call.Args) != 2 {
				return false
			}
			if size := pass.TypesInfo.Types[call.Args[1]].Value; size != nil && size.ExactString() == "0" {
				return false
			}
			room = true
		}
	}
	return room
}

// reportMutexes reports where a mutex is held while others have their turns: the next coroutine that locks it never returns.
func (f function) reportMutexes(pass *analysis.Pass) {
	type held struct {
		lock *ast.CallExpr
		name string // the expression that is locked
	}
	var locks []held
	within(pass, f.body, func(at inspector.Cursor) bool {
		call, ok := at.Node().(*ast.CallExpr)
		if !ok {
			return true
		}
		if _, ok := at.Parent().Node().(*ast.DeferStmt); ok {
			return true // an Unlock when the function returns: it is held up to the end
		}
		if fn := callee(pass, call); fn != nil {
			sel, _ := ast.Unparen(call.Fun).(*ast.SelectorExpr)
			switch name := fn.FullName(); {
			case sel == nil:
			case name == "(*sync.Mutex).Lock" || name == "(*sync.RWMutex).Lock" || name == "(*sync.RWMutex).RLock" || name == "(sync.Locker).Lock":
				locks = append(locks, held{call, types.ExprString(sel.X)})
			case name == "(*sync.Mutex).Unlock" || name == "(*sync.RWMutex).Unlock" || name == "(*sync.RWMutex).RUnlock" || name == "(sync.Locker).Unlock":
				for i := len(locks) - 1; i >= 0; i-- {
					if locks[i].name == types.ExprString(sel.X) {
						locks = append(locks[:i], locks[i+1:]...)
						break
					}
				}
			}
		}
		if len(locks) > 0 && mayWait(pass, call) {
			for _, l := range locks {
				pass.ReportRangef(l.lock, "%s is locked while others have their turns, and the next coroutine that locks it blocks the whole loop; "+
					"use a tinyio.Lock, or unlock it before the wait in line %d", l.name, pass.Fset.Position(call.Pos()).Line)
			}
			locks = nil
		}
		return true
	})
}
