package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// A transfer is one file on its way. Its methods block, and know nothing of coroutines: they run in commands.
type transfer struct {
	body io.ReadCloser
	part *os.File // what has come so far
	path string   // of the whole file
	size int64    // -1 if it is not known

	whole bool // it has its name
}

// chunk is how much is read in one command.
const chunk = 16 << 10

// begin asks for a file, and makes the partial one. The context is that of the whole transfer.
func begin(ctx context.Context, client *http.Client, url, dir, name string) (*transfer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("the server says %s", response.Status)
	}
	part, err := os.Create(filepath.Join(partial(dir), name))
	if err != nil {
		response.Body.Close()
		return nil, err
	}
	return &transfer{body: response.Body, part: part, path: filepath.Join(dir, name), size: response.ContentLength}, nil
}

// more copies a chunk. The error is io.EOF when everything has come.
func (t *transfer) more() (int64, error) { return io.CopyN(t.part, t.body, chunk) }

// finish gives the file its name.
func (t *transfer) finish() error {
	if err := errors.Join(t.body.Close(), t.part.Close()); err != nil {
		return err
	}
	err := os.Rename(t.part.Name(), t.path)
	t.whole = err == nil
	return err
}

// discard removes what has come.
func (t *transfer) discard() error {
	t.body.Close()
	t.part.Close()
	return os.Remove(t.part.Name())
}

// partials is the directory with the partial files. It keeps another run out, too.
const partials = ".downloading"

func partial(dir string) string { return filepath.Join(dir, partials) }

// lock makes the directory, and in it that of the partial files.
func lock(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	err := os.Mkdir(partial(dir), 0o777)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("another program downloads to %s; if none does, remove %s", dir, partial(dir))
	}
	return err
}

// unlock removes the directory of the partial files, which fails as long as there is one.
func unlock(dir string) error { return os.Remove(partial(dir)) }
