package planner

// window makes the stages of a block with window functions. The rows go to
// where their partition is, or to one fragment where there is none.
func (d *divider) window(b *block, s spread, columns []Column) (*Stage, error) {
	if err := d.expandAliases(b); err != nil {
		return nil, err
	}
	for _, p := range commonPartitions(b) {
		if from := b.sourceOf(p); from.leaf != nil && s.keys[from] {
			return d.finish(b, columns)
		}
	}
	c, err := d.cut(b)
	if err != nil {
		return nil, err
	}
	c.deal(commonPartitions(&block{n: c.upper}))
	return d.finish(&block{n: c.upper}, columns)
}

// commonPartitions are the expressions by which every window of the block is
// partitioned.
func commonPartitions(b *block) []node {
	var common []node
	first := true
	for _, region := range []string{"select_list", "qualify", "modifiers"} {
		walkExpr(b.n[region], func(n node) {
			if str(n, "class") != "WINDOW" {
				return
			}
			var own []node
			for _, v := range list(n, "partitions") {
				p, _ := v.(node)
				own = append(own, p)
			}
			if first {
				common, first = own, false
				return
			}
			common = inBoth(common, own)
		})
	}
	return common
}

func inBoth(a, b []node) []node {
	var in []node
	for _, x := range a {
		for _, y := range b {
			if keyOf(x) == keyOf(y) {
				in = append(in, x)
				break
			}
		}
	}
	return in
}
