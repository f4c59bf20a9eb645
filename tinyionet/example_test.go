package tinyionet_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyionet"
)

// A server that tells everybody how many lines have come, from whomever. The counter is a plain variable. When the server is stopped,
// everybody is told goodbye.
func ExampleServe() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	lines := 0
	session := func(co *tinyio.Co, conn *tinyionet.Conn) error {
		in := bufio.NewReader(conn.With(co))
		for {
			_, err := in.ReadString('\n')
			if co.Err() != nil {
				goodbye := func(co *tinyio.Co) error {
					_, err := io.WriteString(conn.With(co), "goodbye\n")
					return err
				}
				return errors.Join(err, co.Shield(time.Second, goodbye))
			}
			if err != nil {
				return nil // the client has gone
			}
			lines++
			if _, err := fmt.Fprintln(conn.With(co), "lines up to now:", lines); err != nil {
				return err
			}
		}
	}
	main := tinyio.Do(func(co *tinyio.Co) error {
		server := co.Go(func(co *tinyio.Co) error {
			return tinyionet.Serve(co, l, session, tinyionet.WithMaxConns(1000))
		})
		conn, err := tinyionet.Dial(co, "tcp", l.Addr().String())
		if err != nil {
			return err
		}
		defer conn.Close()
		replies := bufio.NewReader(conn.With(co))
		for range 2 {
			if _, err := io.WriteString(conn.With(co), "hello\n"); err != nil {
				return err
			}
			reply, err := replies.ReadString('\n')
			if err != nil {
				return err
			}
			fmt.Print(reply)
		}
		if err := server.Cancel(co, errors.New("closing time")); err != nil {
			return err
		}
		last, err := replies.ReadString('\n')
		fmt.Print(last)
		return err
	})
	_, err = tinyio.Run(context.Background(), main)
	fmt.Println(err)
	// Output:
	// lines up to now: 1
	// lines up to now: 2
	// goodbye
	// <nil>
}

// A read is limited by a Timeout, as everything else is, and the connection is as good as before.
func ExampleConn() {
	near, far := net.Pipe() // stands for a connection to somewhere
	defer far.Close()
	main := tinyio.Do(func(co *tinyio.Co) error {
		conn := tinyionet.NewConn(near)
		defer conn.Close()
		read := func() *tinyio.Coro[string] {
			return tinyio.New(func(co *tinyio.Co) (string, error) {
				p := make([]byte, 100)
				n, err := conn.Read(co, p)
				return string(p[:n]), err
			})
		}
		_, err := tinyio.Timeout(co, read(), 10*time.Millisecond)
		fmt.Println("too late:", errors.Is(err, tinyio.ErrTimeout))
		go io.WriteString(far, "here I am")
		text, err := tinyio.Timeout(co, read(), time.Minute)
		fmt.Println(text, err)
		return co.Err()
	})
	_, err := tinyio.Run(context.Background(), main)
	fmt.Println(err)
	// Output:
	// too late: true
	// here I am <nil>
	// <nil>
}

// What reads more than once for one thing, such as a line, takes one call.
func ExampleConn_ReadFunc() {
	near, far := net.Pipe() // stands for a connection to somewhere
	go func() {
		defer far.Close()
		io.WriteString(far, "in several ")
		io.WriteString(far, "pieces\n")
	}()
	main := tinyio.Do(func(co *tinyio.Co) error {
		conn := tinyionet.NewConn(near)
		defer conn.Close()
		in := bufio.NewReader(conn.NetConn())
		var line string
		err := conn.ReadFunc(co, func() (err error) {
			line, err = in.ReadString('\n')
			return err
		})
		fmt.Print(line)
		return err
	})
	_, err := tinyio.Run(context.Background(), main)
	fmt.Println(err)
	// Output:
	// in several pieces
	// <nil>
}

// Whoever does not answer ends the attempt when its time is up.
func ExampleDial() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	main := tinyio.Do(func(co *tinyio.Co) error {
		conn, err := tinyio.Timeout(co, tinyio.New(func(co *tinyio.Co) (*tinyionet.Conn, error) {
			return tinyionet.Dial(co, "tcp", l.Addr().String())
		}), time.Minute)
		if err != nil {
			return err
		}
		fmt.Println("connected")
		return conn.Close()
	})
	_, err = tinyio.Run(context.Background(), main)
	fmt.Println(err)
	// Output:
	// connected
	// <nil>
}

// A server whose handlers share a plain map. It is stopped while a request is under way, which is answered all the same.
func ExampleServeHTTP() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancelCause(context.Background()) // stands for signal.NotifyContext
	defer stop(nil)
	loop := tinyio.NewLoop()
	visits := make(map[string]int) // of the coroutines of the loop
	handler := tinyionet.Handler(loop, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		visits[r.URL.Path]++
		if visits[r.URL.Path] == 2 {
			stop(errors.New("closing time"))
			if err := co.Sleep(10 * time.Millisecond); err != nil { // it still works
				return err
			}
		}
		_, err := fmt.Fprintf(w, "visit %d of %s", visits[r.URL.Path], r.URL.Path)
		return err
	})
	served := make(chan error)
	go func() {
		_, err := tinyio.RunOn(ctx, loop, tinyio.Do(func(co *tinyio.Co) error {
			return tinyionet.ServeHTTP(co, &http.Server{Handler: handler}, l, 10*time.Second)
		}))
		served <- err
	}()
	for range 2 {
		answer, err := http.Get("http://" + l.Addr().String() + "/home")
		if err != nil {
			fmt.Println(err)
			return
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		fmt.Println(string(text), err)
	}
	fmt.Println("served:", <-served)
	// Output:
	// visit 1 of /home <nil>
	// visit 2 of /home <nil>
	// served: closing time
}

// With a loop that others keep up, a handler needs nothing else.
func ExampleHandler() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	loop, served := tinyio.NewLoop(), make(chan error)
	go func() { served <- loop.Serve(ctx) }()
	hello := func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		_, err := fmt.Fprint(w, "hello ", r.FormValue("name"))
		return err
	}
	srv := &http.Server{Handler: tinyionet.Handler(loop, hello)}
	go srv.Serve(l)
	answer, err := http.Get("http://" + l.Addr().String() + "/?name=world")
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	fmt.Println(string(text), err)
	srv.Close()
	stop(errors.New("closing time"))
	fmt.Println(<-served)
	// Output:
	// hello world <nil>
	// closing time
}
