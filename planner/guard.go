package planner

import (
	"context"
	"strings"
)

// textFor returns the text that fragments run: the user's own, as long as
// nothing in its tree was rewritten. Else it is the tree as DuckDB writes it,
// fully parenthesised, and only if DuckDB reads that back as the same tree.
func (q *Query) textFor(ctx context.Context, e Engine, rewritten bool) (string, error) {
	if !rewritten {
		return q.text, nil
	}
	text, err := q.deserialize(ctx, e, q.tree)
	if err != nil {
		return "", err
	}
	again, err := serialize(ctx, e, text)
	if err != nil || !sameTree(q.tree["node"], again["node"]) {
		return "", refuse(Unsupported, -1, "this statement cannot be rewritten safely; name columns without payload., tables without schema, and give no parameters")
	}
	return text, nil
}

// writeTrees writes statements as SQL that DuckDB reads back as the same trees.
func (d *divider) writeTrees(statements []node) ([]string, error) {
	trees := make([]string, len(statements))
	for i, s := range statements {
		text, err := encodeTree(node{"error": false, "statements": []any{s}})
		if err != nil {
			return nil, err
		}
		trees[i] = text
	}
	key := "written\x00" + strings.Join(trees, "\x00")
	if d.catalog.Written != nil {
		if known, ok := d.catalog.Written.Get(key); ok {
			return known.([]string), nil
		}
	}
	texts, err := d.engine.DeserializeAll(d.ctx, trees)
	if err != nil {
		return nil, opaque(err.Error())
	}
	text, err := d.engine.SerializeSQL(d.ctx, strings.Join(texts, ";\n"))
	if err != nil {
		return nil, err
	}
	doc, err := decodeTree(text)
	again := list(doc, "statements")
	if err != nil || len(again) != len(statements) {
		return nil, opaque("text that DuckDB reads differently")
	}
	for i, s := range statements {
		n, _ := again[i].(node)
		if !sameTree(flat(s["node"]), flat(n["node"])) {
			return nil, opaque("text that DuckDB reads differently")
		}
	}
	if d.catalog.Written != nil {
		d.catalog.Written.Put(key, texts)
	}
	return texts, nil
}

// flat is a tree without the SELECT * that DuckDB puts around a list of values
// each time that it reads one, and with chains of UNION as lists: DuckDB reads
// them as trees of any balance.
func flat(v any) any {
	switch v := v.(type) {
	case []any:
		for i, c := range v {
			v[i] = flat(c)
		}
	case node:
		for k, c := range v {
			v[k] = flat(c)
		}
		if members, ok := v["members"].([]any); ok || isChain(v) {
			if !ok {
				members = append(chainOf(v, "left"), chainOf(v, "right")...)
			}
			return node{"type": v["type"], "setop_type": v["setop_type"], "setop_all": v["setop_all"], "members": members}
		}
		query := child(child(v, "subquery"), "node")
		values := child(query, "from_table")
		if kind(v) == "SUBQUERY" && kind(values) == "EXPRESSION_LIST" && isPlainStar(query) && len(list(v, "column_name_alias")) == 0 {
			values["alias"] = v["alias"]
			return values
		}
	}
	return v
}

// isChain tells a UNION that nothing else is done to.
func isChain(n node) bool {
	return kind(n) == "SET_OPERATION_NODE" && str(n, "setop_type") == "UNION" && len(list(n, "modifiers")) == 0 && len(list(child(n, "cte_map"), "map")) == 0
}

// chainOf are the members of a chain on one side of a UNION.
func chainOf(n node, side string) []any {
	c := child(n, side)
	if members, ok := c["members"].([]any); ok && c["setop_all"] == n["setop_all"] {
		return members
	}
	return []any{c}
}

func (q *Query) deserialize(ctx context.Context, e Engine, statement node) (string, error) {
	text, err := encodeTree(node{"error": false, "statements": []any{statement}})
	if err != nil {
		return "", err
	}
	return e.DeserializeSQL(ctx, text)
}

func serialize(ctx context.Context, e Engine, sql string) (node, error) {
	text, err := e.SerializeSQL(ctx, sql)
	if err != nil {
		return nil, err
	}
	doc, err := decodeTree(text)
	if err != nil {
		return nil, err
	}
	statements := list(doc, "statements")
	if len(statements) != 1 {
		return nil, refuse(Invalid, -1, "canonical text does not parse")
	}
	n, _ := statements[0].(node)
	return n, nil
}
