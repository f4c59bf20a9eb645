//go:build !race

package tinyiotest_test

const raced = false
