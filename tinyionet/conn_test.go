package tinyionet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
)

// What is written at one end is read at the other, and others have their turns meanwhile.
func TestReadAndWriteBesideOthers(t *testing.T) {
	eachPair(t, func(t *testing.T, near *Conn, far net.Conn) {
		other := NewConn(far)
		var got []string
		run(t, nil, func(co *tinyio.Co) error {
			reader := co.Go(func(co *tinyio.Co) error {
				got = append(got, "reading")
				got = append(got, read(co, near))
				return nil
			})
			if err := co.Yield(); err != nil {
				return err
			}
			got = append(got, "beside")
			n, err := other.Write(co, []byte("hello"))
			if n != 5 || err != nil {
				t.Errorf("Write = %d, %v", n, err)
			}
			return co.Wait(reader)
		})
		want(t, "order", strings.Join(got, ", "), `reading, beside, "hello"`)
	})
}

// The end of the stream and a connection that is closed are values.
func TestErrorsAreValues(t *testing.T) {
	eachPair(t, func(t *testing.T, near *Conn, far net.Conn) {
		run(t, nil, func(co *tinyio.Co) error {
			far.Close()
			if n, err := near.Read(co, make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("Read = %d, %v, want the end", n, err)
			}
			near.Close()
			if _, err := near.Write(co, []byte("x")); !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("Write = %v, want that it is closed", err)
			}
			return nil
		})
	})
}

// A connection that is closed while a coroutine reads from it ends the read, which is nobody's stop.
func TestCloseBesideRead(t *testing.T) {
	eachPair(t, func(t *testing.T, near *Conn, far net.Conn) {
		run(t, nil, func(co *tinyio.Co) error {
			reader := co.Go(func(co *tinyio.Co) error {
				if _, err := near.Read(co, make([]byte, 1)); !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
					t.Errorf("Read = %v, want that it is closed", err)
				}
				return nil
			})
			if err := co.Yield(); err != nil {
				return err
			}
			near.Close()
			return co.Wait(reader)
		})
	})
}

// A Timeout ends a read cleanly, and the connection is as good as before (R18, R10).
func TestTimeoutAroundRead(t *testing.T) {
	eachPair(t, func(t *testing.T, near *Conn, far net.Conn) {
		run(t, nil, func(co *tinyio.Co) error {
			for read := 0; read < 3; {
				var inside error
				_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
					_, inside = near.Read(co, make([]byte, 1))
					return inside
				}).Named("reader"), time.Millisecond)
				var late *tinyio.TimeoutError
				if !errors.As(err, &late) || late.Coro != "reader" || late.Cleanup != nil {
					t.Errorf("Timeout = %v, with the clean-up %v", err, late.Cleanup)
				}
				if inside == nil { // it has not had a turn
					continue
				}
				if read++; inside != error(late) {
					t.Errorf("the error of Read is %v, want that of the Timeout", inside)
				}
			}
			go io.WriteString(far, "still here")
			want(t, "the next Read", read(co, near), `"still here"`)
			return nil
		})
	})
}

// The same of a write that nobody takes. What was taken counts.
func TestTimeoutAroundWrite(t *testing.T) {
	eachPair(t, func(t *testing.T, near *Conn, far net.Conn) {
		const much = 8 << 20
		received := make(chan int64, 1)
		total := 0
		run(t, nil, func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
				n, err := near.Write(co, make([]byte, much))
				if total += n; n >= much || !errors.Is(err, tinyio.ErrTimeout) {
					t.Errorf("Write = %d, %v", n, err)
				}
				return err
			}), 10*time.Millisecond)
			if !errors.Is(err, tinyio.ErrTimeout) {
				t.Errorf("Timeout = %v", err)
			}
			go func() {
				n, _ := io.Copy(io.Discard, far)
				received <- n
			}()
			n, err := near.Write(co, []byte("the rest"))
			total += n
			near.Close()
			return err
		})
		if got := <-received; got != int64(total) {
			t.Errorf("%d bytes have come, and Write told of %d", got, total)
		}
	})
}

// A crash ends a read with the error that every wait returns then, and is told as the only one (R8, R10).
func TestCrashEndsRead(t *testing.T) {
	eachPair(t, func(t *testing.T, near *Conn, far net.Conn) {
		run(t, errBoom, func(co *tinyio.Co) error {
			co.Go(func(co *tinyio.Co) error {
				_, err := near.Read(co, make([]byte, 1))
				var cancelled *tinyio.CancelledError
				if !errors.As(err, &cancelled) || cancelled.Cause != errBoom || context.Cause(co) != errBoom {
					t.Errorf("Read = %v", err)
				}
				if again := co.Yield(); again != err {
					t.Errorf("the next wait returns %v, and Read %v", again, err)
				}
				if n, again := near.Read(co, make([]byte, 1)); n != 0 || again != err {
					t.Errorf("the next Read = %d, %v", n, again)
				}
				return err
			})
			if err := co.Yield(); err != nil {
				return err
			}
			return errBoom
		})
	})
}

// So does the end of the context of the run (R12).
func TestInterruptEndsRead(t *testing.T) {
	eachPair(t, func(t *testing.T, near *Conn, far net.Conn) {
		ctx, stop := context.WithCancelCause(context.Background())
		runWith(t, ctx, errBoom, func(co *tinyio.Co) error {
			stop(errBoom)
			_, err := near.Read(co, make([]byte, 1))
			return err
		})
	})
}

// In a Shield one can read and write again, also after a stop that has come in the middle of both (R13).
func TestShieldAfterStop(t *testing.T) {
	eachPair(t, func(t *testing.T, near *Conn, far net.Conn) {
		peer := make(chan string, 1)
		go func() {
			peer <- readAll(far)
		}()
		run(t, errBoom, func(co *tinyio.Co) error {
			session := co.Go(func(co *tinyio.Co) error {
				defer near.Close()
				_, err := near.Read(co, make([]byte, 1))
				return errors.Join(err, co.Shield(time.Hour, func(co *tinyio.Co) error {
					if _, err := near.Write(co, []byte("goodbye")); err != nil {
						return err
					}
					_, late := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
						_, err := near.Read(co, make([]byte, 1))
						return err
					}), time.Millisecond)
					if !errors.Is(late, tinyio.ErrTimeout) {
						t.Errorf("a Read in the Shield = %v, want that it waits", late)
					}
					return co.Err()
				}))
			})
			_ = session
			if err := co.Yield(); err != nil {
				return err
			}
			return errBoom
		})
		want(t, "the other end has read", <-peer, "goodbye")
	})
}

// When the grace of a Shield is over, that ends a read in it.
func TestGraceEndsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		conn := NewConn(near)
		start := time.Now()
		run(t, errBoom, func(co *tinyio.Co) error {
			co.Go(func(co *tinyio.Co) error {
				defer conn.Close()
				return co.Shield(time.Minute, func(co *tinyio.Co) error {
					_, err := conn.Read(co, make([]byte, 1))
					if !errors.Is(err, tinyio.ErrCancelled) {
						t.Errorf("Read = %v", err)
					}
					return err
				})
			})
			if err := co.Yield(); err != nil {
				return err
			}
			return errBoom
		})
		want(t, "the run has taken", time.Since(start), time.Minute)
	})
}

// What comes in the moment of the stop is not lost: Read returns it, and the next wait tells (R28, R30).
func TestDataInTheMomentOfTheStop(t *testing.T) {
	noLeaks(t)
	interrupted := make(chan bool, 1)
	conn := NewConn(&fakeConn{
		read: func(p []byte) (int, error) {
			<-interrupted
			return copy(p, "just in time"), nil
		},
		setReadDeadline: func(at time.Time) error {
			if at == past {
				interrupted <- true
			}
			return nil
		},
	})
	run(t, errBoom, func(co *tinyio.Co) error {
		co.Go(func(co *tinyio.Co) error {
			want(t, "Read", read(co, conn), `"just in time"`)
			return co.Yield()
		})
		if err := co.Yield(); err != nil {
			return err
		}
		return errBoom
	})
}

// Data and the end of the deadline at once: both are told.
func TestDataBesideTheStop(t *testing.T) {
	noLeaks(t)
	interrupted := make(chan bool, 1)
	conn := NewConn(&fakeConn{
		read: func(p []byte) (int, error) {
			<-interrupted
			return copy(p, "half"), os.ErrDeadlineExceeded
		},
		setReadDeadline: func(at time.Time) error {
			if at == past {
				interrupted <- true
			}
			return nil
		},
	})
	run(t, errBoom, func(co *tinyio.Co) error {
		co.Go(func(co *tinyio.Co) error {
			p := make([]byte, 10)
			n, err := conn.Read(co, p)
			if string(p[:n]) != "half" || !errors.Is(err, tinyio.ErrCancelled) {
				t.Errorf("Read = %q, %v", p[:n], err)
			}
			return err
		})
		if err := co.Yield(); err != nil {
			return err
		}
		return errBoom
	})
}

// Another error in the moment of the stop is told as it is: it is no interruption.
func TestFailureInTheMomentOfTheStop(t *testing.T) {
	noLeaks(t)
	interrupted := make(chan bool, 1)
	errBroken := errors.New("broken pipe")
	conn := NewConn(&fakeConn{
		write: func(p []byte) (int, error) { <-interrupted; return 0, errBroken },
		setWriteDeadline: func(at time.Time) error {
			if at == past {
				interrupted <- true
			}
			return nil
		},
	})
	_, err := tinyio.Run(t.Context(), tinyio.Do(func(co *tinyio.Co) error {
		co.Go(func(co *tinyio.Co) error {
			_, err := conn.Write(co, []byte("x"))
			if err != errBroken {
				t.Errorf("Write = %v", err)
			}
			return err
		})
		if err := co.Yield(); err != nil {
			return err
		}
		return errBoom
	}))
	if !errors.Is(err, errBoom) || !errors.Is(err, errBroken) {
		t.Errorf("Run = %v, want both", err)
	}
}

// A deadline of the user's counts, is no stop, and is still there after one.
func TestUsersDeadlines(t *testing.T) {
	eachPair(t, func(t *testing.T, near *Conn, far net.Conn) {
		run(t, nil, func(co *tinyio.Co) error {
			if err := near.SetDeadline(time.Unix(2, 0)); err != nil {
				return err
			}
			for range 2 {
				if _, err := near.Read(co, make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("Read = %v", err)
				}
				if _, err := near.Write(co, make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("Write = %v", err)
				}
				if err := near.WriteFunc(co, func() error { _, err := near.NetConn().Write(make([]byte, 1)); return err }); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("WriteFunc = %v", err)
				}
			}
			if err := near.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
				return err
			}
			if err := near.SetWriteDeadline(time.Time{}); err != nil {
				return err
			}
			go io.WriteString(far, "x")
			want(t, "Read", read(co, near), `"x"`)
			return nil
		})
	})
}

// A deadline that is set while a read is being interrupted is set when that has ended, and not lost.
func TestDeadlineDuringInterruption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var set []time.Time
		var conn *Conn
		interrupted, user := make(chan bool, 1), time.Unix(3, 0)
		conn = NewConn(&fakeConn{
			read: func(p []byte) (int, error) {
				<-interrupted
				conn.SetReadDeadline(user)
				return 0, os.ErrDeadlineExceeded
			},
			setReadDeadline: func(at time.Time) error {
				if set = append(set, at); at == past {
					interrupted <- true
				}
				return nil
			},
		})
		run(t, nil, func(co *tinyio.Co) error {
			if err := conn.SetReadDeadline(time.Unix(2, 0)); err != nil {
				return err
			}
			_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
				_, err := conn.Read(co, nil)
				return err
			}), time.Millisecond)
			if !errors.Is(err, tinyio.ErrTimeout) {
				t.Errorf("Timeout = %v", err)
			}
			return nil
		})
		want(t, "the deadlines", fmt.Sprint(set), fmt.Sprint([]time.Time{time.Unix(2, 0), past, user}))
	})
}

// A connection that takes no deadlines is closed.
func TestConnWithoutDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan bool)
		refuse := func(time.Time) error { return os.ErrNoDeadline }
		conn := NewConn(&fakeConn{
			read:             func([]byte) (int, error) { <-closed; return 0, net.ErrClosed },
			setReadDeadline:  refuse,
			setWriteDeadline: refuse,
			closed:           func() error { close(closed); return nil },
		})
		run(t, nil, func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
				_, err := conn.Read(co, make([]byte, 1))
				return err
			}), time.Millisecond)
			if !errors.Is(err, tinyio.ErrTimeout) {
				t.Errorf("Timeout = %v", err)
			}
			if err := conn.SetDeadline(past); !errors.Is(err, os.ErrNoDeadline) {
				t.Errorf("SetDeadline = %v", err)
			}
			return nil
		})
	})
}

// Readers take turns, in the order in which they came, and to stop one stops no other.
func TestReadersTakeTurns(t *testing.T) {
	eachPair(t, func(t *testing.T, near *Conn, far net.Conn) {
		var got []string
		run(t, nil, func(co *tinyio.Co) error {
			reader := func(name string) *tinyio.Coro[tinyio.Void] {
				return tinyio.Do(func(co *tinyio.Co) error {
					p := make([]byte, 1)
					n, err := near.Read(co, p)
					got = append(got, name+" "+string(p[:n]))
					return err
				})
			}
			first, waiting, others := reader("first"), reader("waiting"), []*tinyio.Coro[tinyio.Void]{reader("second"), reader("third")}
			if err := co.Spawn(first, waiting, others[0], others[1]); err != nil {
				return err
			}
			for _, c := range []*tinyio.Coro[tinyio.Void]{waiting, first} {
				if err := c.Cancel(co, errBoom); err != nil {
					return err
				}
			}
			go io.WriteString(far, "ab")
			return co.Wait(tinyio.Awaitables(others)...)
		})
		want(t, "order", strings.Join(got, ", "), "waiting , first , second a, third b")
	})
}

// What is written in one call stays together.
func TestWritesStayTogether(t *testing.T) {
	eachPair(t, func(t *testing.T, near *Conn, far net.Conn) {
		text := make(chan string, 1)
		go func() { text <- readAll(far) }()
		run(t, nil, func(co *tinyio.Co) error {
			defer near.Close()
			var writers []tinyio.Awaitable
			for i := range 10 {
				writers = append(writers, co.Go(func(co *tinyio.Co) error {
					_, err := near.Write(co, []byte(strings.Repeat(fmt.Sprint(i), 10_000)))
					return err
				}))
			}
			return co.Wait(writers...)
		})
		var b strings.Builder
		for i := range 10 {
			b.WriteString(strings.Repeat(fmt.Sprint(i), 10_000))
		}
		if got := <-text; got != b.String() {
			t.Error("the writes are mixed, or out of order")
		}
	})
}

// To stop who reads does not stop who writes to the same connection.
func TestDirectionsAreApart(t *testing.T) {
	eachPair(t, func(t *testing.T, near *Conn, far net.Conn) {
		const much = 8 << 20
		run(t, nil, func(co *tinyio.Co) error {
			writer := tinyio.Go(co, func(co *tinyio.Co) (int, error) { return near.Write(co, make([]byte, much)) })
			reader := co.Go(func(co *tinyio.Co) error {
				_, err := near.Read(co, make([]byte, 1))
				return err
			})
			if err := co.Yield(); err != nil {
				return err
			}
			if err := reader.Cancel(co, errBoom); err != nil {
				return err
			}
			go io.Copy(io.Discard, far)
			n, err := writer.Await(co)
			want(t, "written", n, much)
			near.Close()
			return err
		})
	})
}

// Lines are read through a bufio.Reader, in one call each, or with a Read of its own whenever the buffer is empty.
func TestBufferedReaders(t *testing.T) {
	for name, line := range map[string]func(conn *Conn) func(co *tinyio.Co) (string, error){
		"ReadFunc": func(conn *Conn) func(co *tinyio.Co) (string, error) {
			r := bufio.NewReader(conn.NetConn())
			return func(co *tinyio.Co) (text string, err error) {
				err = conn.ReadFunc(co, func() (err error) {
					text, err = r.ReadString('\n')
					return err
				})
				return text, err
			}
		},
		"With": func(conn *Conn) func(co *tinyio.Co) (string, error) {
			var r *bufio.Reader
			return func(co *tinyio.Co) (string, error) {
				if r == nil {
					r = bufio.NewReader(conn.With(co))
				}
				return r.ReadString('\n')
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachPair(t, func(t *testing.T, near *Conn, far net.Conn) {
				run(t, nil, func(co *tinyio.Co) error {
					go func() {
						for _, part := range []string{"o", "ne\ntwo\nth", "ree\nfo"} {
							io.WriteString(far, part)
						}
					}()
					next := line(near)
					for _, text := range []string{"one\n", "two\n", "three\n"} {
						got, err := next(co)
						if got != text || err != nil {
							t.Errorf("line = %q, %v, want %q", got, err, text)
						}
					}
					return nil
				})
			})
		})
	}
}

// A stop in the middle of a line is the coroutine's own, however often the function has read, and what it has read stands.
func TestStopInReadFunc(t *testing.T) {
	noLeaks(t)
	end, far := pipePair(t) // on which a write has been read when it returns
	near := NewConn(end)
	run(t, nil, func(co *tinyio.Co) error {
		r, half := bufio.NewReader(near.NetConn()), make(chan bool)
		go func() {
			io.WriteString(far, "half a ")
			io.WriteString(far, "line")
			close(half)
		}()
		var text string
		reader := co.Go(func(co *tinyio.Co) error {
			return near.ReadFunc(co, func() (err error) {
				text, err = r.ReadString('\n')
				if err != nil {
					err = fmt.Errorf("line: %w", err)
				}
				return err
			})
		})
		if _, _, err := tinyio.Recv(co, half); err != nil {
			return err
		}
		if err := reader.Cancel(co, errBoom); err != nil {
			t.Errorf("Cancel = %v, want a clean stop", err)
		}
		want(t, "text", text, "half a line")
		return nil
	})
}

// A panic in a function is that of the caller, and leaves nothing behind.
func TestPanicInReadFunc(t *testing.T) {
	eachPair(t, func(t *testing.T, near *Conn, far net.Conn) {
		run(t, nil, func(co *tinyio.Co) error {
			_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
				return near.ReadFunc(co, func() error { panic(errBoom) })
			}))
			var p *tinyio.PanicError
			if !errors.As(err, &p) || p.Value != errBoom {
				t.Errorf("Isolate = %v", err)
			}
			go io.WriteString(far, "x")
			want(t, "the next Read", read(co, near), `"x"`)
			return nil
		})
	})
}

// What a connection is made of is there, and NewConn takes no nil.
func TestConnParts(t *testing.T) {
	near, far := tcpPair(t)
	c := NewConn(near)
	if c.NetConn() != near || c.LocalAddr().String() != far.RemoteAddr().String() || c.RemoteAddr().String() != far.LocalAddr().String() {
		t.Errorf("the parts are %v, %v, %v", c.NetConn(), c.LocalAddr(), c.RemoteAddr())
	}
	defer func() {
		if p := recover(); p == nil {
			t.Error("NewConn(nil) does not panic")
		}
	}()
	NewConn(nil)
}
