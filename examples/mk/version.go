package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// A version tells a file from the same file at another time. The zero version is that of a file that does not exist: what
// depends on that is never up to date.
type version struct {
	exists   bool
	modified time.Time
	hash     string // when hashes are what counts
}

func (v version) missing() bool { return !v.exists }

// merge is the version of a name that stands for several files.
func merge(vs []version) version {
	all := version{exists: len(vs) > 0 && !slices.ContainsFunc(vs, version.missing)}
	h := sha256.New()
	for _, v := range vs {
		if v.modified.After(all.modified) {
			all.modified = v.modified
		}
		fmt.Fprintln(h, v.hash)
	}
	all.hash = sum(h)
	return all
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// A judge tells which targets are up to date.
type judge interface {
	// look returns the version of a file as it is now. It blocks, and is called in threads. The other methods are called by
	// coroutines.
	look(name string) (version, error)
	// upToDate reports whether t, of version now, need not be made again from deps.
	upToDate(t *target, now version, deps []version) bool
	// note takes down that t has been made from deps.
	note(t *target, now version, deps []version)
}

// byTime is the judge who goes by the times of files: a target is up to date if nothing it depends on is newer.
type byTime struct{}

func (byTime) look(name string) (version, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return version{}, nil
	}
	if err != nil {
		return version{}, err
	}
	return version{exists: true, modified: info.ModTime()}, nil
}

func (byTime) upToDate(_ *target, now version, deps []version) bool {
	outdates := func(d version) bool { return d.missing() || d.modified.After(now.modified) }
	return now.exists && !slices.ContainsFunc(deps, outdates)
}

func (byTime) note(*target, version, []version) {}

// byHash is the judge who goes by contents: a target is up to date if it, what it depends on, and its commands are those of the
// last time that it was made.
type byHash struct {
	records map[string]record // by target
}

// A record is what is remembered of how a target was made. The fields are hashes.
type record struct{ From, Made string }

// loadRecords returns a judge with what one has saved in the given file.
func loadRecords(file string) (*byHash, error) {
	j := &byHash{records: make(map[string]record)}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &j.records)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w; remove it, and everything is made anew", file, err)
	}
	return j, nil
}

// save writes the records to a file, which at no time is half written.
func (j *byHash) save(file string) error {
	text, err := json.MarshalIndent(j.records, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", append(text, '\n'), 0o666); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func (j *byHash) look(name string) (version, error) {
	v, err := byTime{}.look(name)
	if err != nil || !v.exists {
		return v, err
	}
	f, err := os.Open(name)
	if err != nil {
		return version{}, err
	}
	defer f.Close()
	h := sha256.New()
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return v, err // of a directory it counts that it is there
	}
	if _, err := io.Copy(h, f); err != nil {
		return version{}, err
	}
	v.hash = sum(h)
	return v, nil
}

func (j *byHash) upToDate(t *target, now version, deps []version) bool {
	return now.exists && !slices.ContainsFunc(deps, version.missing) && j.records[t.name] == recordOf(t, now, deps)
}

func (j *byHash) note(t *target, now version, deps []version) {
	j.records[t.name] = recordOf(t, now, deps)
}

func recordOf(t *target, now version, deps []version) record {
	h := sha256.New()
	for _, c := range t.commands {
		fmt.Fprintf(h, "%q\n", c.text)
	}
	for i, d := range deps {
		fmt.Fprintf(h, "%q %s\n", t.deps[i], d.hash)
	}
	return record{From: sum(h), Made: now.hash}
}
