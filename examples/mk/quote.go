package main

import (
	"iter"
	"regexp"
	"strings"
)

// Names may have anything in them. In a rule it is written in double quotes, or with a backslash before it, as for the shell.

// A piece is a character of a text, with what is before it that only quotes it.
type piece struct {
	at     int    // where it begins
	text   string // the character, as a string of bytes
	quoted bool
}

// pieces ranges over the characters of a text, without the quotes. A quote that is never closed is a character like any other, and so
// is a backslash before anything that needs none.
func pieces(text string) iter.Seq[piece] {
	const special = "\"\\ \t#:=%"
	return func(yield func(piece) bool) {
		inQuotes := false
		for i := 0; i < len(text); i++ {
			p := piece{at: i, text: text[i : i+1], quoted: inQuotes}
			switch {
			case text[i] == '\\' && i+1 < len(text) && strings.IndexByte(special, text[i+1]) >= 0:
				i++
				p.text, p.quoted = text[i:i+1], true
			case text[i] == '"' && (inQuotes || closes(text[i+1:])):
				inQuotes = !inQuotes
				continue
			}
			if !yield(p) {
				return
			}
		}
	}
}

// closes reports whether there is a quote in text that is not quoted itself.
func closes(text string) bool {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return true
		}
	}
	return false
}

// indexUnquoted is where the first of chars is in text that is not quoted, or -1.
func indexUnquoted(text, chars string) int {
	for p := range pieces(text) {
		if !p.quoted && strings.Contains(chars, p.text) {
			return p.at
		}
	}
	return -1
}

// words splits a text where there are spaces that are not quoted. The words are as they were written.
func words(text string) (all []string) {
	for {
		text = strings.TrimLeft(text, " \t")
		if text == "" {
			return all
		}
		end := indexUnquoted(text, " \t")
		if end < 0 {
			end = len(text)
		}
		all = append(all, text[:end])
		text = text[end:]
	}
}

// unquote is the name that a word stands for; ok is false if a quote or a backslash in it is left alone.
func unquote(word string) (name string, ok bool) {
	var b strings.Builder
	ok = true
	for p := range pieces(word) {
		ok = ok && (p.quoted || p.text != `"` && (p.text != `\` || p.at+1 < len(word)))
		b.WriteString(p.text)
	}
	return b.String(), ok
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+:,./-]+$`)

// quote is a name for the shell, and for commands, which take what begins with a hyphen for an option.
func quote(name string) string {
	if strings.HasPrefix(name, "-") {
		name = "./" + name
	}
	if plain.MatchString(name) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
