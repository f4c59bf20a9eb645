package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// A redactor takes fields out of records. It is not changed, so many threads may use it.
type redactor struct {
	key        []byte
	hash, drop [][]string // fields, by the names that lead to them
}

// redact does so with a batch. It blocks, and stops when ctx is done.
func (r *redactor) redact(ctx context.Context, batch []record) (done result, err error) {
	var text bytes.Buffer
	for _, rec := range batch {
		if ctx.Err() != nil {
			return done, ctx.Err()
		}
		line, err := r.line(rec.text)
		if err != nil {
			done.bad = append(done.bad, fmt.Errorf("%s:%d: %w", rec.input, rec.line, err))
			continue
		}
		text.Write(line)
		done.records++
	}
	done.text = text.Bytes()
	return done, nil
}

// An object is a JSON object whose values stay as they are, unless they are looked into.
type object map[string]json.RawMessage

func parse(text []byte) (o object, err error) {
	if err = json.Unmarshal(text, &o); err != nil {
		var kind *json.UnmarshalTypeError
		if !errors.As(err, &kind) {
			return nil, err
		}
	}
	if o == nil {
		return nil, errors.New("not a JSON object")
	}
	return o, nil
}

func (o object) format() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(o)
	return b.Bytes(), err
}

// line is a record after redaction, as a line.
func (r *redactor) line(text []byte) ([]byte, error) {
	o, err := parse(text)
	if err != nil {
		return nil, err
	}
	for _, field := range r.drop {
		o.change(field, nil)
	}
	for _, field := range r.hash {
		o.change(field, r.digest)
	}
	return o.format()
}

// change replaces the value of a field, if there is one, and deletes it if to is nil.
func (o object) change(field []string, to func(value json.RawMessage) json.RawMessage) {
	value, ok := o[field[0]]
	if !ok {
		return
	}
	if len(field) > 1 {
		inner, err := parse(value)
		if err != nil {
			return // it has no fields
		}
		inner.change(field[1:], to)
		if value, err = inner.format(); err == nil {
			o[field[0]] = value
		}
		return
	}
	if to == nil {
		delete(o, field[0])
		return
	}
	o[field[0]] = to(value)
}

// digest is the hash of a value, as a JSON string. It does not depend on how a string is written, and that of a number is that of a
// string of its digits.
func (r *redactor) digest(value json.RawMessage) json.RawMessage {
	plain := []byte(value)
	var s string
	if value[0] == '"' && json.Unmarshal(value, &s) == nil {
		plain = []byte(s)
	}
	h := hmac.New(sha256.New, r.key)
	h.Write(plain)
	return json.RawMessage(`"` + hex.EncodeToString(h.Sum(nil)[:16]) + `"`)
}
