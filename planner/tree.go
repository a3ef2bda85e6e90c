package planner

import (
	"encoding/json"
	"strings"
)

// node is one object of DuckDB's serialized tree. Numbers are json.Number, so
// that large ones survive.
type node = map[string]any

func decodeTree(text string) (node, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var n node
	err := d.Decode(&n)
	return n, err
}

func encodeTree(n node) (string, error) {
	b, err := json.Marshal(n)
	return string(b), err
}

func str(n node, key string) string {
	s, _ := n[key].(string)
	return s
}

func child(n node, key string) node {
	c, _ := n[key].(node)
	return c
}

func list(n node, key string) []any {
	l, _ := n[key].([]any)
	return l
}

// kind is the node's type within its class, such as BASE_TABLE or COLUMN_REF.
func kind(n node) string { return str(n, "type") }

// isQuery tells a node that opens a scope of names.
func isQuery(n node) bool {
	switch kind(n) {
	case "SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE":
		return true
	}
	return false
}

// location is the node's byte offset in the statement, or -1.
func location(n node) int {
	num, ok := n["query_location"].(json.Number)
	if !ok {
		return -1
	}
	i, err := num.Int64()
	if err != nil || i < 0 || i > 1<<40 {
		return -1
	}
	return int(i)
}

// walk calls visit for every object below v, parents first. It does not enter
// the objects for which visit returns false.
func walk(v any, visit func(node) bool) {
	switch v := v.(type) {
	case node:
		if !visit(v) {
			return
		}
		for _, c := range v {
			walk(c, visit)
		}
	case []any:
		for _, c := range v {
			walk(c, visit)
		}
	}
}

// walkInOrder is walk in an order that is always the same.
func walkInOrder(v any, visit func(node) bool) {
	switch v := v.(type) {
	case node:
		if !visit(v) {
			return
		}
		for _, k := range sortedKeys(v) {
			walkInOrder(v[k], visit)
		}
	case []any:
		for _, c := range v {
			walkInOrder(c, visit)
		}
	}
}

// clone copies a tree.
func clone(v any) any {
	switch v := v.(type) {
	case node:
		m := make(node, len(v))
		for k, c := range v {
			m[k] = clone(c)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, c := range v {
			l[i] = clone(c)
		}
		return l
	}
	return v
}

// sameTree compares two trees but for the places in the text.
func sameTree(a, b any) bool {
	switch a := a.(type) {
	case node:
		b, ok := b.(node)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if k == "query_location" {
				continue
			}
			w, ok := b[k]
			if !ok || !sameTree(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !sameTree(a[i], b[i]) {
				return false
			}
		}
		return true
	}
	return a == b
}
