// Program crash fails where a file is read of which two parts of a page need something.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/tinyio-go/tinyio"
)

// A file is the lines of a configuration.
type file map[string]string

// portOf reads the port out of a configuration.
func portOf(f file, key string) (int, error) {
	port, err := strconv.Atoi(f[key])
	if err != nil {
		return 0, fmt.Errorf("%s: %w", key, err)
	}
	return port, nil
}

// address is where a service is, which is the port of a configuration that has to be read first.
func address(co *tinyio.Co, config *tinyio.Coro[file], service string) (string, error) {
	f, err := config.Await(co)
	if err != nil {
		return "", err
	}
	port, err := portOf(f, service)
	return fmt.Sprintf("localhost:%d", port), err
}

func page() *tinyio.Coro[[]string] {
	config := tinyio.New(func(co *tinyio.Co) (file, error) {
		return file{"users": "8080", "orders": "80B1"}, co.Yield()
	}).Named("config")
	find := func(service string) *tinyio.Coro[string] {
		return tinyio.New(func(co *tinyio.Co) (string, error) {
			return address(co, config, service)
		}).Named("find " + service)
	}
	load := func(service string, attempts int) *tinyio.Coro[string] {
		return tinyio.New(func(co *tinyio.Co) (string, error) {
			where, err := find(service).Await(co)
			if err != nil {
				return "", err
			}
			return fmt.Sprint(service, " from ", where, " in ", attempts, " attempts"), co.Sleep(1e9)
		}).Named("load " + service)
	}
	return tinyio.New(func(co *tinyio.Co) ([]string, error) {
		title := "the shop"
		parts, err := tinyio.Gather(co, load("users", 1), load("orders", 3))
		return append(parts, title), err
	}).Named("page")
}

func main() {
	if _, err := tinyio.Run(context.Background(), page()); err != nil {
		fmt.Printf("%+v", err)
		os.Exit(1)
	}
}
