package durable

// What tests stand in for.

type (
	Files = files
	File  = file
)

// Directory is the files of a directory.
func Directory(dir string) Files { return directory(dir) }

// WithFiles has a journal keep its records in other files.
func WithFiles(fs Files) Option { return func(o *options) { o.fs = fs } }

// CompactByHand has a journal not compact itself.
func CompactByHand() Option { return func(o *options) { o.byHand = true } }

// EncodeAndDecode is what becomes of an error when it is recorded.
func EncodeAndDecode(err error) error { return encodeError(err, nil).decode(nil) }

// Unregister makes a program unknown.
func Unregister(name string) {
	programs.Lock()
	defer programs.Unlock()
	delete(programs.byName, name)
}

// RunChild is the function of the step that a Child is.
var RunChild = runChild

// IsUnavailable reports whether err, of the function of a step, is no result of it and stops the run.
func IsUnavailable(err error) bool {
	_, is := err.(*unavailable)
	return is
}
