//go:build tinyio_nodirect

package stack

const Direct = false
