package planner

import (
	"fmt"
	"strings"
)

// one makes a single fragment run a query, over tables that are read in
// shares and filtered where they lie.
func (d *divider) one(n node, columns []Column, why string) (*Stage, error) {
	if err := d.resolveShared(n, map[string][]Column{}); err != nil {
		return nil, err
	}
	var failed error
	walk(n, func(t node) bool {
		if kind(t) != "BASE_TABLE" || t[mark] != nil || str(t, "schema_name") == cteSchema {
			return true
		}
		table := d.catalog.Tables[fold(str(t, "table_name"))]
		if table == nil {
			failed = fmt.Errorf("BUG: table %s is not in the catalog", str(t, "table_name"))
			return false
		}
		if str(t, "alias") == "" {
			t["alias"] = str(t, "table_name")
		}
		// Its own sample and renaming stay at its place in the tree.
		t[mark] = &leaf{node: t, table: table, files: d.kept[table.Name], renamed: len(list(t, "column_name_alias")) > 0, share: 1, reduction: 1}
		return true
	})
	if failed != nil {
		return nil, failed
	}
	names := make([]any, len(columns))
	for i := range columns {
		names[i] = stored(i)
	}
	s := d.emit(selectNode([]any{star()}, subqueryRef(n, "q", names)), columns)
	s.Why = why
	return s, nil
}

// emit makes the stage that runs a tree, after the stages that read its
// leaves' tables. The tree's columns have numbers for names.
func (d *divider) emit(tree node, columns []Column) *Stage {
	tree, _ = clone(tree).(node)
	s := &Stage{columns: columns, Follow: -1}
	dropPushed(tree, func(l *leaf) bool { return !l.inPlace() })
	w := wantedBy(tree)
	scans := d.scans(tree, w)
	read := map[*leaf]*Stage{}
	var inShares []leafView
	walkInOrder(tree, func(n node) bool {
		l, ok := n[mark].(*leaf)
		if !ok || kind(n) != "BASE_TABLE" {
			d.unseen = d.unseen || kind(n) == "BASE_TABLE" && str(n, "schema_name") != cteSchema
			return true
		}
		if from := d.read(s, n, l, scans[l]); from != nil {
			read[l] = from
		}
		if !l.inPlace() || l.use.mode == everything {
			return true
		}
		inShares = append(inShares, leafView{l, str(n, "table_name")})
		return !d.reduceInPlace(s, n, l, scans)
	})
	for _, v := range inShares {
		s.narrowings(v, read)
	}
	s.tree = tree
	for _, b := range s.sizes {
		s.bytes = max(s.bytes, b)
	}
	d.add(s)
	return s
}

func (d *divider) add(s *Stage) {
	s.ID = len(d.stages)
	s.serial = d.made
	d.made++
	d.stages = append(d.stages, s)
}

// isDivided tells whether a tree's rows lie spread over fragments.
func isDivided(tree node) bool {
	divided := false
	walk(tree, func(n node) bool {
		if l, ok := n[mark].(*leaf); ok && kind(n) == "BASE_TABLE" && l.use.mode != everything {
			divided = true
		}
		return !divided
	})
	return divided
}

// inPlace tells that a fragment reads the leaf's files itself.
func (l *leaf) inPlace() bool {
	return l.table != nil && (l.use.mode == driven || l.use.mode == everything && l.isEverywhere() || l.isCut())
}

// isCut tells a table of which each fragment reads the files of its range.
func (l *leaf) isCut() bool { return l.use.cuts != nil && l.use.cuts.inPlace[l] != nil }

// read makes the view that a leaf's node then names, and returns the stage
// whose rows it reads, if it does.
func (d *divider) read(s *Stage, n node, l *leaf, scan *Stage) *Stage {
	n["schema_name"] = ""
	from := l.stage
	if from == nil {
		if l.inPlace() {
			t := StageTable{View: s.tableView(l.table.Name), Table: l.table.Name, Files: l.files, Split: l.use.mode == driven}
			if t.Split {
				s.Kind = Split
			}
			if l.isCut() {
				t.Key, t.Parts = l.use.hashed()[0], l.use.cuts.inPlace[l]
				s.cutBy(l.use.cuts)
			}
			s.Tables = append(s.Tables, t)
			s.sizes = append(s.sizes, l.bytes())
			n["table_name"] = t.View
			return nil
		}
		from = scan
	}
	s.sizes = append(s.sizes, from.bytes)
	r := Read{Stage: from.ID, Keys: l.use.hashed(), Own: l.use.mode == driven, Near: l.use.mode == near}
	switch {
	case r.Own:
		s.Kind, s.Follow = Follow, from.ID
	case l.use.cuts != nil:
		r.Ranged = true
		s.cutBy(l.use.cuts)
	case r.Near || len(r.Keys) > 0:
		s.Kind = Shared
	}
	n["table_name"] = s.readView(r)
	return from
}

// cutBy makes the stage's fragments read ranges of a key.
func (s *Stage) cutBy(c *cuts) { s.Kind, s.Cuts = Ranged, c.literals() }

// hashed are the keys as SQL.
func (u use) hashed() []string {
	var keys []string
	for i, k := range u.keys {
		k = `"` + strings.ReplaceAll(k, `"`, `""`) + `"`
		if i < len(u.cast) && u.cast[i] != "" {
			k = "CAST(" + k + " AS " + u.cast[i] + ")"
		}
		keys = append(keys, k)
	}
	return keys
}

// scan makes the stage that reads a table's columns, filtered.
func (d *divider) scan(l *leaf, w *wanted, made map[*leaf]*Stage) *Stage {
	s := &Stage{Kind: Split, Follow: -1, bytes: l.bytes(), scan: true,
		Tables: []StageTable{{View: l.table.Name, Table: l.table.Name, Files: l.files, Split: true}}}
	s.columns = w.columns(l)
	items := make([]any, len(s.columns))
	for i, c := range s.columns {
		items[i] = column(c.Name)
	}
	tree := selectNode(items, tableRef(l.table.Name, ""))
	tree["where_clause"] = and(append(d.reduce(s, l, made), l.ownFilters()...))
	s.tree = tree
	d.add(s)
	return s
}

// narrowest is a column that costs little to read.
func narrowest(t *Table) Column {
	for _, c := range t.Columns {
		switch c.Type {
		case "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "DATE", "DOUBLE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE":
			return c
		}
	}
	return t.Columns[0]
}
