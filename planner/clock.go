package planner

import (
	"context"
	"time"
)

// clocks are the functions and names that tell when the statement began, and
// the types of what they tell. They mean one moment, wherever they run.
var clocks = map[string]string{
	"now": "TIMESTAMP WITH TIME ZONE", "current_timestamp": "TIMESTAMP WITH TIME ZONE", "get_current_timestamp": "TIMESTAMP WITH TIME ZONE",
	"transaction_timestamp": "TIMESTAMP WITH TIME ZONE", "current_date": "DATE", "today": "DATE",
	"localtimestamp": "TIMESTAMP", "current_localtimestamp": "TIMESTAMP",
}

// fixClock writes the moment at which the statement began in the place of
// now() and the like, so that all workers see the same, and files can be left
// out by it.
func (q *Query) fixClock(ctx context.Context, e Engine, c *Catalog) (changed bool, err error) {
	if c.Now.IsZero() {
		return false, nil
	}
	taken := q.takenNames(c)
	isClock := func(n node) bool {
		_, ok := clockType(n, taken)
		return ok
	}
	found := false
	walk(q.tree["node"], func(n node) bool {
		found = found || isClock(n)
		return !found
	})
	if !found {
		return false, nil
	}
	if err := q.nameColumns(ctx, e, isClock); err != nil {
		return false, err
	}
	walk(q.tree["node"], func(n node) bool {
		if t, ok := clockType(n, taken); ok {
			become(n, moment(c.Now.UTC(), t))
			return false
		}
		return true
	})
	return true, nil
}

// clockType is the type of what a node tells of the time. Those that are
// written like columns are none where something has the name.
func clockType(n node, taken map[string]bool) (string, bool) {
	switch str(n, "class") {
	case "FUNCTION":
		t, ok := clocks[fold(str(n, "function_name"))]
		return t, ok && len(list(n, "children")) == 0
	case "COLUMN_REF":
		names := list(n, "column_names")
		name, _ := names[0].(string)
		t, ok := clocks[fold(name)]
		return t, ok && len(names) == 1 && !taken[fold(name)] && name != "now" && name != "today"
	}
	return "", false
}

// takenNames are the names of columns and aliases in the statement.
func (q *Query) takenNames(c *Catalog) map[string]bool {
	taken := map[string]bool{}
	for _, name := range q.Tables {
		for _, col := range c.Tables[name].Columns {
			taken[fold(col.Name)] = true
		}
	}
	walk(q.tree["node"], func(n node) bool {
		taken[fold(str(n, "alias"))] = true
		for _, v := range list(n, "column_name_alias") {
			s, _ := v.(string)
			taken[fold(s)] = true
		}
		for _, v := range list(n, "aliases") {
			s, _ := v.(string)
			taken[fold(s)] = true
		}
		return true
	})
	return taken
}

// moment is an instant as a constant of a type.
func moment(t time.Time, tp string) node {
	layout := "2006-01-02 15:04:05.000000"
	switch tp {
	case "DATE":
		layout = "2006-01-02"
	case "TIMESTAMP WITH TIME ZONE":
		layout += "+00"
	}
	return node{"class": "CAST", "type": "OPERATOR_CAST", "alias": "", "query_location": nowhere, "child": text(t.Format(layout)),
		"cast_type": node{"id": tp, "type_info": nil}, "try_cast": false}
}
