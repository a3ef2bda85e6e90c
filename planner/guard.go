package planner

import "context"

// canonical returns the query's text as DuckDB writes its tree: fully
// parenthesised. The text is used only if DuckDB reads it back as that same
// tree; else the user's own text is, as long as nothing had to be rewritten.
func (q *Query) canonical(ctx context.Context, e Engine, rewritten bool) (string, error) {
	text, err := q.deserialize(ctx, e, q.tree)
	if err == nil {
		var again node
		if again, err = serialize(ctx, e, text); err == nil && sameTree(q.tree["node"], again["node"]) {
			return text, nil
		}
	}
	if !rewritten {
		return q.text, nil
	}
	return "", refuse(Unsupported, -1, "this statement cannot be rewritten safely; name columns without payload., tables without schema, and give no parameters")
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
