//go:build !race

package linearizability

// goBuild is how the program is built: as the tests are.
var goBuild = []string{"build"}
