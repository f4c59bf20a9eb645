// Package durable runs programs of coroutines that outlive the process.
package durable
