package shop

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// A world stands for the services of others: a warehouse, a bank, a carrier. They do not always answer, sometimes after they have done what they
// were asked for. But whoever asks again with the same key gets the same answer, and nothing is done twice. What they have done is in a
// directory, a file each.
type world struct{ dir string }

// worldKey is where the programs find the world.
type worldKey struct{}

func openWorld(dir string) (*world, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &world{dir}, nil
}

var errNoAnswer = errors.New("the service does not answer")

// do does what once, for a key.
func (w *world) do(key, what string) (string, error) {
	if rand.IntN(5) == 0 {
		return "", errNoAnswer
	}
	if err := w.once(filepath.Join(w.dir, strings.ReplaceAll(key, "/", "-")), what); err != nil {
		return "", err
	}
	if rand.IntN(5) == 0 {
		return "", errNoAnswer
	}
	return fmt.Sprintf("%s (%s)", what, key), nil
}

// once writes a file that is there as a whole or not at all, unless it is there already.
func (w *world) once(name, text string) error {
	f, err := os.CreateTemp(w.dir, "*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), name); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func (w *world) reserve(key, item string) (string, error) {
	if item == "unicorn" {
		return "", errSoldOut
	}
	return w.do(key, "reserved "+item)
}

func (w *world) release(key, item string) (string, error) { return w.do(key, "released "+item) }

func (w *world) charge(key, card string, amount int) (string, error) {
	if card == "" || strings.HasPrefix(card, "0") {
		return "", errRefused
	}
	return w.do(key, fmt.Sprintf("charged %d", amount))
}

func (w *world) refund(key, _ string, amount int) (string, error) {
	return w.do(key, fmt.Sprintf("refunded %d", amount))
}

func (w *world) send(key, item string) (string, error) { return w.do(key, "sent "+item) }
