package durable

import (
	"regexp"
	"strings"
)

// The compiler numbers function literals: main.order.func2.1 is main.order.func3.1 once somebody has written another one above it, and
// main.main.order.func7 once order is inlined into main. Neither is a change of the program.
var (
	literal  = regexp.MustCompile(`\.(func|gowrap|deferwrap)\d+`)
	numbered = regexp.MustCompile(`^((func|gowrap|deferwrap)?\d+|.*-range\d+)?$`)
)

// stableName is the part of the name of a step that changes only if the program does. Of a function literal that is the function
// in which it stands, without its package, which inlining loses. Any other name stays as it is.
func stableName(name string) string {
	name = strings.TrimSuffix(strings.ReplaceAll(name, "[...]", ""), "-fm")
	if !literal.MatchString(name) {
		return name
	}
	name = name[strings.LastIndexByte(name, '/')+1:]
	parts := strings.Split(name, ".")
	for len(parts) > 1 && numbered.MatchString(parts[len(parts)-1]) {
		parts = parts[:len(parts)-1]
	}
	n := len(parts)
	if n > 1 && strings.HasPrefix(parts[n-2], "(*") {
		return parts[n-2] + "." + parts[n-1] + ".func"
	}
	return parts[n-1] + ".func"
}
