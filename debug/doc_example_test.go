package debug_test

import (
	"log"
	"net/http"

	_ "github.com/tinyio-go/tinyio/debug"
)

func Example_linkedIn() {
	// import _ "github.com/tinyio-go/tinyio/debug"
	go func() { log.Println(http.ListenAndServe("localhost:6060", nil)) }()
}
