package planner

import (
	"context"
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

// writeTree writes a statement as SQL that DuckDB reads back as the same tree.
func writeTree(ctx context.Context, e Engine, statement node) (string, error) {
	text, err := encodeTree(node{"error": false, "statements": []any{statement}})
	if err != nil {
		return "", err
	}
	if text, err = e.DeserializeSQL(ctx, text); err != nil {
		return "", opaque(err.Error())
	}
	again, err := serialize(ctx, e, text)
	if err != nil || !sameTree(flat(statement["node"]), flat(again["node"])) {
		return "", opaque("text that DuckDB reads differently")
	}
	return text, nil
}

// flat is a tree without the SELECT * that DuckDB puts around a list of values
// each time that it reads one.
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
		query := child(child(v, "subquery"), "node")
		values := child(query, "from_table")
		if kind(v) == "SUBQUERY" && kind(values) == "EXPRESSION_LIST" && isPlainStar(query) && len(list(v, "column_name_alias")) == 0 {
			values["alias"] = v["alias"]
			return values
		}
	}
	return v
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
