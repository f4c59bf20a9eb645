package main

import (
	"errors"
	"fmt"
	"log"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyionet"
)

const (
	patience = 30 * time.Second // with those who do not say who they are
	maxName  = 20               // letters
)

// A server is what its sessions share. They are coroutines of one loop, so it needs no lock, and everybody is told
// everything in the same order.
type server struct {
	log      *log.Logger
	places   *tinyio.Semaphore
	clients  []*client       // those who have joined, in the order in which they did
	names    map[string]bool // that are taken, in lower case
	commands map[string]func(s *server, c *client) (leave bool)
}

func newServer(places int, log *log.Logger) *server {
	return &server{
		log:    log,
		places: tinyio.NewSemaphore(places),
		names:  make(map[string]bool),
		commands: map[string]func(*server, *client) bool{
			"/quit": func(*server, *client) bool { return true },
			"/who":  (*server).who,
		},
	}
}

// report writes down what goes wrong on a connection, or with the listener, and ends nothing.
func (s *server) report(conn *tinyionet.Conn, err error) {
	if conn == nil {
		s.log.Print(err)
	} else {
		s.log.Printf("%v: %+v", conn.RemoteAddr(), err)
	}
}

// session is what happens on a connection, from the first line to the last.
func (s *server) session(co *tinyio.Co, conn *tinyionet.Conn) error {
	c := newClient(conn)
	writer := co.Go(c.write)
	defer co.Shield(grace, func(co *tinyio.Co) error {
		c.hush() // so the writer ends when it has written all that there is
		_, err := writer.Await(co)
		return err
	})

	if !s.places.TryAcquire() {
		c.say("* There is no place left. Come back later.")
		return nil
	}
	defer s.places.Release()

	defer func() { delete(s.names, strings.ToLower(c.name)) }()
	_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error { return s.askName(co, c) }), patience)
	if err == nil {
		err = s.talk(co, c)
	}
	switch {
	case co.Err() != nil:
		c.say("* The server is going down. Goodbye.")
		return co.Err()
	case errors.Is(err, tinyio.ErrTimeout):
		c.say("* You are too shy. Goodbye.")
	case err == nil:
		c.say("* Goodbye.")
	}
	return nil // any other error is of a client who has gone
}

// askName asks a client for a name until there is a good one, which nobody else can have from then on.
func (s *server) askName(co *tinyio.Co, c *client) error {
	c.say("* Welcome. What is your name?")
	for {
		name, err := c.read(co)
		if err != nil && err != errTooLong {
			return err
		}
		switch {
		case err != nil || name == "" || utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, isNoLetter):
			c.say(fmt.Sprintf("* A name has 1 to %d letters and digits. What is yours?", maxName))
		case s.names[strings.ToLower(name)]:
			c.say("* That is the name of somebody else. What is yours?")
		default:
			c.name = name
			s.names[strings.ToLower(name)] = true
			return nil
		}
	}
}

func isNoLetter(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// talk tells everybody what a client says, until it leaves or has gone.
func (s *server) talk(co *tinyio.Co, c *client) error {
	s.clients = append(s.clients, c)
	s.tell("* %s joins", c.name)
	defer func() {
		s.clients = slices.DeleteFunc(s.clients, func(o *client) bool { return o == c })
		switch {
		case co.Err() != nil: // everybody leaves
		case c.slow:
			s.tell("* %s leaves, too slow", c.name)
		default:
			s.tell("* %s leaves", c.name)
		}
	}()
	for {
		line, err := c.read(co)
		if err == errTooLong {
			c.say("* Your line was too long, and nobody has seen it.")
			continue
		}
		if err != nil {
			return err
		}
		if !strings.HasPrefix(line, "/") {
			if line != "" {
				s.tell("<%s> %s", c.name, line)
			}
		} else if command := s.commands[line]; command == nil {
			c.say("* There are the commands /quit and /who.")
		} else if command(s, c) {
			return nil
		}
	}
}

// who tells a client who is there.
func (s *server) who(c *client) (leave bool) {
	names := make([]string, len(s.clients))
	for i, o := range s.clients {
		names[i] = o.name
	}
	c.say("* Here are: " + strings.Join(names, ", "))
	return false
}

// tell tells everybody something. It does not wait for anybody.
func (s *server) tell(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	for _, c := range s.clients {
		c.say(line)
	}
}
