package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

// A version tells a file from the same file at another time. The zero version is that of a file that does not exist: what
// depends on that is never up to date.
type version struct {
	exists   bool
	modified time.Time
	id       string // the same if it is the same file, by its contents or by its time and size
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
		fmt.Fprintln(h, v.id)
	}
	all.id = sum(h)
	return all
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// A judge tells which targets are up to date: those that are as they were made, from what they would be made from now. It goes by the
// times of files, or by their contents and the commands.
//
// Of what nobody knows how it was made, a judge by times knows only what make knows: it is up to date if nothing that it depends on is
// newer. That is not enough where something is known. A file that was saved while the commands ran is older than what they have
// made of what was in it before.
type judge struct {
	byHash  bool
	records map[string]record // by target
}

// A record is what is remembered of how a target was made. The zero record is that of one that may be half made.
type record struct {
	From string // what it was made from, as it was before that began
	Made string // the id of what came of it
}

// A state is what is kept from one run to the next.
type state struct {
	Times, Hashes map[string]record
	Begun         time.Time `json:",omitzero"` // when commands began to run in a run that has not come to its end
}

// begin takes down that commands are going to run, unless that is known.
func (s *state) begin(file string) error {
	if !s.Begun.IsZero() {
		return nil
	}
	s.Begun = time.Now()
	return s.save(file)
}

// doubt takes down which targets may be half made, because a run was killed that did not come to save anything: those that have changed
// since it began. Their times say that they are new.
func (s *state) doubt(f *mkfile) error {
	if s.Begun.IsZero() {
		return nil
	}
	j := s.judge(false)
	for name, t := range f.targets {
		if t.phony || len(t.commands) == 0 {
			continue
		}
		v, err := j.look(context.Background(), name)
		if err != nil {
			return err
		}
		if v.exists && v.modified.After(s.Begun.Add(-grain(v.modified))) && s.Times[name].Made != v.id {
			s.Times[name] = record{}
		}
	}
	s.Begun = time.Time{}
	return nil
}

// loadState reads a state file; if there is none, nothing is known.
func loadState(file string) (*state, error) {
	s := &state{}
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, s)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w; remove it, and everything is made anew", file, err)
	}
	return s, nil
}

// judge returns a judge who knows what is in s, and adds to it.
func (s *state) judge(byHash bool) *judge {
	records := &s.Times
	if byHash {
		records = &s.Hashes
	}
	if *records == nil {
		*records = make(map[string]record)
	}
	return &judge{byHash: byHash, records: *records}
}

// save writes s to a file, which at no time is half written, nor written by two at once.
func (s *state) save(file string) error {
	text, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	// Two names are as good as never the same.
	temporary := fmt.Sprint(file, ".new", rand.Uint64())
	err = os.WriteFile(temporary, append(text, '\n'), 0o666)
	if err == nil {
		err = os.Rename(temporary, file)
	}
	if err != nil {
		os.Remove(temporary)
	}
	return err
}

// look returns the version of a file as it is now. It blocks, and is called in threads. The other methods are called by coroutines.
func (j *judge) look(ctx context.Context, name string) (version, error) {
	info, err := statWhenSettled(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return version{}, nil
	}
	if err != nil {
		return version{}, err
	}
	v := version{exists: true, modified: info.ModTime()}
	switch {
	case info.IsDir(): // it counts that it is there; it changes with each file that is made in it
	case j.byHash:
		v.id, err = hashOf(name)
	default:
		v.id = fmt.Sprint(info.ModTime().UnixNano(), " ", info.Size())
	}
	return v, err
}

func hashOf(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return sum(h), nil
}

// statWhenSettled is os.Stat, but a file that has just been written it looks at again when another write would get another time. Else
// one that came then could not be told from the one before it.
func statWhenSettled(ctx context.Context, name string) (info fs.FileInfo, err error) {
	for range 10 { // somebody may write all the time
		if info, err = os.Stat(name); err != nil {
			return nil, err
		}
		age := time.Since(info.ModTime())
		wait := grain(info.ModTime()) - age
		if age < 0 || wait <= 0 {
			break
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return info, nil
}

// grain is the time within which two writes may get the same time as this one. File systems take the time of the last tick of the
// clock, of which there are at least a hundred in a second. Some, by whose times one can tell, know whole seconds only, or even ones.
func grain(modified time.Time) time.Duration {
	if modified.Nanosecond() == 0 {
		return 2 * time.Second
	}
	return 10 * time.Millisecond
}

// upToDate reports whether t, of version now, need not be made again from deps.
func (j *judge) upToDate(t *target, now version, deps []version) bool {
	if !now.exists || slices.ContainsFunc(deps, version.missing) {
		return false
	}
	r, known := j.records[t.name]
	known = known && (r.Made == now.id || r == record{}) // and nobody else has made it since
	if known || j.byHash {
		return known && r.From == j.from(t, deps)
	}
	return !slices.ContainsFunc(deps, func(d version) bool { return d.modified.After(now.modified) })
}

// note takes down that t has been made from deps.
func (j *judge) note(t *target, now version, deps []version) {
	j.records[t.name] = record{From: j.from(t, deps), Made: now.id}
}

// from tells what t is made from.
func (j *judge) from(t *target, deps []version) string {
	h := sha256.New()
	if j.byHash {
		for _, c := range t.commands {
			fmt.Fprintf(h, "%q\n", c.text)
		}
	}
	for i, d := range deps {
		fmt.Fprintf(h, "%q %s\n", t.deps[i], d.id)
	}
	return sum(h)
}
