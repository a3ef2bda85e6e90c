package planner

import "strings"

// tableFunctions are those that a statement may call: they read nothing but
// their arguments.
var tableFunctions = map[string]bool{
	"range": true, "generate_series": true, "unnest": true, "repeat": true, "repeat_row": true,
	"json_each": true, "json_tree": true, "generate_subscripts": true,
}

// forbiddenFunctions are scalar functions that reach settings, files or state.
var forbiddenFunctions = map[string]bool{
	"current_setting": true, "getenv": true, "getvariable": true, "write_log": true,
	"nextval": true, "currval": true, "read_text": true, "read_blob": true, "set_config": true,
	"add_parquet_key": true, "json_serialize_plan": true, "txid_current": true,
}

func checkTableFunction(f node) error {
	name := strings.ToLower(str(f, "function_name"))
	if tableFunctions[name] {
		return nil
	}
	return refuse(Forbidden, location(f), "function %s may not be used in a query: it reads files or the server's state; load files with `skein load` and query the table", name)
}

func checkFunction(f node) error {
	name := strings.ToLower(str(f, "function_name"))
	if forbiddenFunctions[name] {
		return refuse(Forbidden, location(f), "function %s may not be used in a query: it reaches the server's settings or state", name)
	}
	return nil
}
