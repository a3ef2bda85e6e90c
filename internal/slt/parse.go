package slt

import (
	"fmt"
	"strconv"
	"strings"

	"skein/internal/fault"
)

// recordsMax bounds a file, its loops written out.
const recordsMax = 100_000

// Kind says what a record expects.
type Kind int

// The kinds of records.
const (
	StatementOK Kind = iota
	StatementError
	Query
)

// Record is one statement or query.
type Record struct {
	Line  int // of its first word, from 1
	Kind  Kind
	SQL   string
	Types string // of a query: one letter for each column, I, R or T
	Sort  string // nosort, rowsort or valuesort
	Label string // queries of one label have the same answer
	Want  []string
	Error string // a part of the message; empty for any

	HashThreshold int      // more values than this are told by their hash; 0 for never
	SkipIf        []string // engines
	OnlyIf        []string

	wantFrom, wantTo int // lines of the expected values, from 0; to is behind the last
}

// File is a read file.
type File struct {
	Name    string
	Require []string // what it needs, one line each
	Records []Record
}

// parser goes through the lines of a file.
type parser struct {
	name      string
	lines     []string
	at        int
	vars      []string // pairs for strings.NewReplacer, innermost loop first
	file      File
	threshold int
	skip      []string
	only      []string
	halted    bool
	off       bool // between mode skip and mode unskip
}

// Parse reads a file's text. A line that it cannot read is InvalidArgument.
func Parse(name, text string) (File, error) {
	p := &parser{name: name, lines: strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), file: File{Name: name}}
	err := p.block(0)
	return p.file, err
}

func (p *parser) errorf(line int, format string, args ...any) error {
	return fault.Newf(fault.InvalidArgument, "%s:%d: %w", p.name, line+1, fmt.Errorf(format, args...))
}

// block reads records up to the end of the file, or of a loop.
func (p *parser) block(depth int) error {
	for p.at < len(p.lines) && !p.halted {
		line, start := p.lines[p.at], p.at
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(line, "#") {
			p.at++
			continue
		}
		switch words[0] {
		case "statement", "query":
			if err := p.record(words); err != nil {
				return err
			}
		case "loop", "foreach":
			if err := p.loop(words, depth); err != nil {
				return err
			}
		case "endloop":
			if depth == 0 {
				return p.errorf(start, "endloop without loop")
			}
			p.at++
			return nil
		default:
			if err := p.control(words); err != nil {
				return err
			}
			p.at++
		}
	}
	if depth > 0 && !p.halted {
		return p.errorf(len(p.lines)-1, "a loop has no endloop")
	}
	return nil
}

func (p *parser) control(words []string) error {
	needs := map[string]int{"skipif": 2, "onlyif": 2, "hash-threshold": 2, "require": 2, "mode": 2}[words[0]]
	if len(words) < needs {
		return p.errorf(p.at, "%s needs a word behind it", words[0])
	}
	switch words[0] {
	case "skipif":
		p.skip = append(p.skip, words[1])
	case "onlyif":
		p.only = append(p.only, words[1])
	case "hash-threshold":
		n, err := strconv.Atoi(words[1])
		if err != nil || n < 0 {
			return p.errorf(p.at, "hash-threshold %s: not a number", words[1])
		}
		p.threshold = n
	case "require":
		p.file.Require = append(p.file.Require, strings.Join(words[1:], " "))
	case "mode":
		p.off = words[1] == "skip"
	case "halt":
		p.halted = true
	default:
		return p.errorf(p.at, "unknown word %s", words[0])
	}
	return nil
}

// loop reads its body once for each value.
func (p *parser) loop(words []string, depth int) error {
	values, err := p.values(words)
	if err != nil {
		return err
	}
	start, outer := p.at, p.vars
	for _, v := range values {
		p.at = start + 1
		p.vars = append([]string{"${" + words[1] + "}", v}, outer...)
		if err := p.block(depth + 1); err != nil {
			return err
		}
	}
	p.vars = outer
	return nil
}

func (p *parser) values(words []string) ([]string, error) {
	if words[0] == "foreach" {
		if len(words) < 3 {
			return nil, p.errorf(p.at, "write: foreach NAME VALUE …")
		}
		return words[2:], nil
	}
	if len(words) != 4 {
		return nil, p.errorf(p.at, "write: loop NAME FROM TO")
	}
	from, err := strconv.Atoi(words[2])
	to, also := strconv.Atoi(words[3])
	if err != nil || also != nil || to <= from || to-from > recordsMax {
		return nil, p.errorf(p.at, "loop from %s to %s: not a range of at most %d", words[2], words[3], recordsMax)
	}
	var values []string
	for i := from; i < to; i++ {
		values = append(values, strconv.Itoa(i))
	}
	return values, nil
}

// record reads a statement or query, and what is expected of it.
func (p *parser) record(words []string) error {
	r := Record{Line: p.at + 1, Sort: "nosort", HashThreshold: p.threshold, SkipIf: p.skip, OnlyIf: p.only}
	p.skip, p.only = nil, nil
	if err := p.head(&r, words); err != nil {
		return err
	}
	p.at++
	var sql []string
	for p.at < len(p.lines) && p.lines[p.at] != "----" && p.lines[p.at] != "" {
		sql = append(sql, p.lines[p.at])
		p.at++
	}
	if len(sql) == 0 {
		return p.errorf(r.Line-1, "%s without SQL", words[0])
	}
	r.SQL = p.filled(strings.Join(sql, "\n"))
	if p.at < len(p.lines) && p.lines[p.at] == "----" {
		p.at++
		r.wantFrom = p.at
		for p.at < len(p.lines) && p.lines[p.at] != "" {
			r.Want = append(r.Want, p.filled(p.lines[p.at]))
			p.at++
		}
		r.wantTo = p.at
	} else if r.Kind == Query {
		return p.errorf(r.Line-1, "query without ---- and its values")
	}
	if r.Kind == StatementError {
		r.Error = strings.Join(r.Want, "\n")
	}
	if len(p.file.Records) == recordsMax {
		return p.errorf(r.Line-1, "more than %d records", recordsMax)
	}
	if !p.off {
		p.file.Records = append(p.file.Records, r)
	}
	return nil
}

func (p *parser) head(r *Record, words []string) error {
	if len(words) < 2 {
		return p.errorf(p.at, "%s needs a word behind it", words[0])
	}
	switch {
	case words[0] == "statement" && words[1] == "ok":
	case words[0] == "statement" && words[1] == "error":
		r.Kind = StatementError
	case words[0] == "statement":
		return p.errorf(p.at, "statement %s: must be ok or error", words[1])
	default:
		r.Kind, r.Types = Query, words[1]
		if strings.Trim(r.Types, "IRT") != "" {
			return p.errorf(p.at, "query %s: types are I, R and T", r.Types)
		}
		if len(words) > 2 {
			r.Sort = words[2]
		}
		if len(words) > 3 {
			r.Label = words[3]
		}
		if r.Sort != "nosort" && r.Sort != "rowsort" && r.Sort != "valuesort" {
			return p.errorf(p.at, "sort mode %s: must be nosort, rowsort or valuesort", r.Sort)
		}
	}
	return nil
}

// filled writes the loops' values for their names.
func (p *parser) filled(s string) string {
	if len(p.vars) == 0 {
		return s
	}
	return strings.NewReplacer(p.vars...).Replace(s)
}
