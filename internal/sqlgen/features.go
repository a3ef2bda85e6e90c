package sqlgen

import "slices"

// features are the names of all that is drawn. Use of another name is a bug.
var features = []string{
	// clauses
	"where", "group by", "group by expression", "group by ordinal", "group by alias", "group by all", "grouping sets", "rollup", "cube", "grouping()",
	"having", "distinct", "distinct on", "order by", "order by all", "nulls first", "nulls last", "limit", "offset", "qualify", "values",
	// relations
	"derived table", "cte", "cte twice", "materialized cte", "column aliases", "lateral", "unnest", "unnest in select",
	"inner join", "left join", "right join", "full join", "semi join", "anti join", "cross join", "using", "natural join", "asof join", "asof left join", "non-equi join", "self join",
	// set operations
	"union", "union all", "union by name", "intersect", "intersect all", "except", "except all",
	// subqueries
	"in subquery", "not in subquery", "exists", "not exists", "scalar subquery", "quantified subquery", "correlated subquery",
	// expressions
	"and", "or", "not", "comparison", "in list", "between", "like", "ilike", "is null", "is distinct from", "case", "coalesce", "cast", "try_cast", "regexp",
	"date function", "interval arithmetic", "time zone", "text function", "number function", "list literal", "struct literal", "struct field", "map element", "list function", "lambda", "list comprehension", "row comparison",
	// aggregates
	"count(*)", "count", "sum", "avg", "min", "max", "bool_and", "bool_or", "bit_and", "bit_or", "bit_xor", "var_samp", "var_pop", "stddev_samp", "stddev_pop",
	"corr", "covar_samp", "covar_pop", "regr", "count distinct", "sum distinct", "list distinct", "arg_min", "arg_max", "string_agg", "list", "median", "quantile_cont", "quantile_disc",
	"mode", "any_value", "first", "filter", "count_if", "product", "histogram", "approx_count_distinct", "entropy", "min n",
	// windows
	"row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value", "last_value", "nth_value", "window aggregate",
	"partition by", "no partition", "rows frame", "range frame", "groups frame", "exclude frame", "ignore nulls", "named window", "window over aggregate",
	// names
	"lateral alias", "shadowing alias", "alias in where", "star", "star exclude", "star replace", "qualified star", "columns()", "quoted name", "table name as alias",
}

// Features lists the names of all features, in a fixed order.
func Features() []string { return slices.Clone(features) }
