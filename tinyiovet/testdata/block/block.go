package block

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"

	"example.com/testdata/lib"
	"github.com/tinyio-go/tinyio"
)

func calls(co *tinyio.Co, db *sql.DB, conn net.Conn, wg *sync.WaitGroup, l *tinyio.Loop, client *http.Client) error {
	time.Sleep(time.Second)                                              // want `time.Sleep blocks the whole loop; use co.Sleep`
	wg.Wait()                                                            // want `sync.WaitGroup.Wait blocks the whole loop`
	exec.Command("true").Run()                                           // want `exec.Cmd.Run blocks the whole loop; put it in tinyio.Call`
	rows, err := db.QueryContext(co, "select 1")                         // want `sql.DB.QueryContext blocks`
	rows.Next()                                                          // want `sql.Rows.Next blocks`
	r, err := http.Get("https://example.com")                            // want `http.Get blocks`
	io.ReadAll(r.Body)                                                   // want `io.ReadAll of a body from the network blocks the whole loop; put it in tinyio.Call`
	client.Do(nil)                                                       // want `http.Client.Do blocks`
	conn.Read(nil)                                                       // want `net.Conn.Read blocks`
	net.Dial("tcp", "example.com:80")                                    // want `net.Dial blocks`
	lib.Retry(2)                                                         // want `Retry blocks the whole loop, in time.Sleep; put it in tinyio.Call`
	lib.Deep()                                                           // want `Deep blocks the whole loop, in time.Sleep`
	local()                                                              // want `local blocks the whole loop, in time.Sleep`
	tinyio.Submit(context.Background(), l, lib.Fetch("x"))               // want `tinyio.Submit blocks the whole loop; await the coroutine`
	defer time.Sleep(1)                                                  // want `time.Sleep blocks`
	defer func() { time.Sleep(1) }()                                     // want `time.Sleep blocks`
	func() { time.Sleep(1) }()                                           // want `time.Sleep blocks`
	co.Shield(1, func(co *tinyio.Co) error { lib.Retry(1); return nil }) // want `Retry blocks the whole loop, in time.Sleep`
	return err
}

func local() { lib.Retry(1) } // want local:`blocks in time.Sleep`

var coroutine = tinyio.Do(func(co *tinyio.Co) error {
	time.Sleep(time.Second) // want `time.Sleep blocks`
	return nil
})

func near(co *tinyio.Co) error {
	go time.Sleep(time.Second)
	go func() { time.Sleep(time.Second) }()
	time.AfterFunc(time.Second, func() { time.Sleep(time.Second) })
	lib.Later()
	lib.Background()
	if err := lib.Wait(co); err != nil {
		return err
	}
	if err := co.Call(func(ctx context.Context) error {
		time.Sleep(time.Second)
		return exec.CommandContext(ctx, "true").Run()
	}); err != nil {
		return err
	}
	later := func() { time.Sleep(time.Second) }
	go later()
	io.ReadAll(strings.NewReader("x"))
	fmt.Println("x")
	return exec.Command("true").Start()
}

func nobody() { time.Sleep(time.Second) } // want nobody:`blocks in time.Sleep`

func channels(co *tinyio.Co, in chan int, out chan<- int) (err error) {
	<-in                   // want `a receive blocks the whole loop; use tinyio.Recv`
	out <- <-in            // want `a send blocks the whole loop; use tinyio.Send` `a receive blocks`
	if v, ok := <-in; ok { // want `a receive blocks`
		out <- v // want `a send blocks`
	}
	for range in { // want `a range over a channel blocks`
	}
	select { // want `a select without default blocks`
	case <-in:
	case out <- 1:
	}
	none := make(chan int)
	none <- 1 // want `a send blocks`
	zero := make(chan int, 0)
	zero <- 1 // want `a send blocks`
	return nil
}

func nearChannels(co *tinyio.Co, in chan int, out chan<- int) {
	select {
	case v := <-in:
		_ = v
	case out <- 1:
	default:
	}
	room := make(chan int, 1)
	room <- 1
	var more = make(chan int, cap(in))
	more <- 1
	for range 3 {
	}
	close(room)
	_, _, _ = tinyio.Recv(co, in)
}

type cache struct {
	mu     sync.Mutex
	rw     sync.RWMutex
	values map[string]int
}

func (c *cache) held(co *tinyio.Co) error {
	c.mu.Lock() // want `c.mu is locked while others have their turns.*before the wait in line \d+`
	defer c.mu.Unlock()
	return co.Sleep(time.Second)
}

func (c *cache) heldToo(co *tinyio.Co) error {
	c.rw.RLock() // want `c.rw is locked while others have their turns`
	err := lib.Wait(co)
	c.rw.RUnlock()
	return err
}

func (c *cache) short(co *tinyio.Co) error {
	c.mu.Lock()
	c.values["x"]++
	c.mu.Unlock()
	if err := co.Sleep(time.Second); err != nil {
		return err
	}
	c.rw.Lock()
	defer c.rw.Unlock()
	c.values["y"]++
	return nil
}
