//go:build duckdb_arrow

package coordinator

import (
	"strings"

	"skein/internal/fault"
	"skein/planner"
)

// setting is something that clients SET without harm: it changes nothing here,
// or can only be set to what it is.
type setting struct {
	value string   // as it is
	also  []string // other ways to write it; nil where any value will do
	free  bool     // any value will do: it is about the client's own display
	about string
}

// settings by name. All statements run with these values.
var settings = map[string]setting{
	"timezone": {value: "UTC", also: []string{"Etc/UTC", "GMT", "Z"}, about: "zone in which times are shown and computed"},
	"calendar": {value: "gregorian", about: "calendar of dates"},

	"schema":      {value: planner.SchemaName, also: []string{"skein.main"}, about: "schema of names without one"},
	"search_path": {value: planner.SchemaName, also: []string{"skein.main", "main,pg_catalog", "main, pg_catalog"}, about: "schemas of names without one"},

	"default_order":                          {value: "ASCENDING", also: []string{"ASC"}, about: "order of ORDER BY"},
	"default_null_order":                     {value: "NULLS_LAST", also: []string{"NULLS LAST", "LAST", "nulls_last"}, about: "place of NULL in ORDER BY"},
	"default_collation":                      {value: "", about: "collation of text"},
	"integer_division":                       {value: "false", also: []string{"off", "0"}, about: "whether / of integers gives integers"},
	"ieee_floating_point_ops":                {value: "true", also: []string{"on", "1"}, about: "whether x / 0 of numbers with a point is infinite"},
	"old_implicit_casting":                   {value: "false", also: []string{"off", "0"}, about: "casts of old versions"},
	"scalar_subquery_error_on_multiple_rows": {value: "true", also: []string{"on", "1"}, about: "whether a scalar subquery may give several rows"},
	"preserve_identifier_case":               {value: "true", also: []string{"on", "1"}, about: "case of names in results"},
	"access_mode":                            {value: "automatic", about: "how the catalog is opened"},
	"standard_conforming_strings":            {value: "on", also: []string{"true", "1"}, about: "whether \\ in a text is itself"},
	"client_encoding":                        {value: "UTF8", also: []string{"UTF-8", "utf8", "UNICODE"}, about: "encoding of text"},
	"transaction_isolation":                  {value: "serializable", about: "each statement is its own transaction"},
	"default_transaction_read_only":          {value: "off", also: []string{"false", "0"}, about: "whether changes are refused"},
	"statement_timeout":                      {value: "0", about: "the server's --query-timeout holds"},
	"lock_timeout":                           {value: "0", about: "nothing waits for locks"},
	"idle_in_transaction_session_timeout":    {value: "0", about: "no transaction is open between statements"},

	"application_name":          {free: true, about: "name of the client"},
	"custom_user_agent":         {free: true, about: "name of the client"},
	"datestyle":                 {value: "ISO", free: true, about: "the client formats dates"},
	"intervalstyle":             {value: "duckdb", free: true, about: "the client formats intervals"},
	"extra_float_digits":        {value: "3", free: true, about: "the client formats numbers"},
	"bytea_output":              {value: "hex", free: true, about: "the client formats bytes"},
	"client_min_messages":       {value: "error", free: true, about: "which notices the client gets: none"},
	"enable_progress_bar":       {value: "false", free: true, about: "the client shows progress"},
	"enable_progress_bar_print": {value: "false", free: true, about: "the client shows progress"},
	"progress_bar_time":         {value: "2000", free: true, about: "the client shows progress"},
	"enable_object_cache":       {value: "true", free: true, about: "no effect"},
	"explain_output":            {value: "physical_only", free: true, about: "EXPLAIN shows Skein's plan"},
	"preserve_insertion_order":  {value: "true", free: true, about: "ORDER BY gives an order"},
}

// flagsHint says where the other settings are set.
const flagsHint = "settings are the server's flags"

// checkSetting tells whether a setting may be set to a value; nil is its default.
func checkSetting(name string, value *string) error {
	folded := strings.ToLower(name)
	s, known := settings[folded]
	if !known {
		return fault.Newf(fault.InvalidArgument, "SET and RESET are not served for %s: %s", name, flagsHint)
	}
	if value == nil || s.free || strings.EqualFold(*value, s.value) {
		return nil
	}
	for _, v := range s.also {
		if strings.EqualFold(*value, v) {
			return nil
		}
	}
	if folded == "schema" || folded == "search_path" {
		return checkSchema(*value)
	}
	return fault.Newf(fault.Unimplemented, "%s is %q for all statements and cannot be set to %q (%s)", folded, s.value, *value, s.about)
}

// set reads SET and RESET behind their keyword; both change nothing.
func (p *ddlParser) set(reset bool) error {
	for p.words("SESSION") || p.words("GLOBAL") || p.words("LOCAL") {
	}
	if p.words("VARIABLE") {
		return fault.New(fault.Unimplemented, "SET VARIABLE is not served: no session keeps variables; use parameters")
	}
	var name string
	if p.words("TIME", "ZONE") {
		name = "timezone"
	} else {
		t, ok := p.peek()
		if !ok || t.kind != 'w' && t.kind != '"' {
			return p.unexpected("the name of a setting")
		}
		name, p.tokens.list = t.text, p.tokens.list[1:]
		if !reset && !p.sign("=") && !p.words("TO") && !strings.EqualFold(name, "schema") {
			return p.unexpected("=")
		}
	}
	if reset {
		if err := p.end(); err != nil {
			return err
		}
		return checkSetting(name, nil)
	}
	if p.words("DEFAULT") {
		return checkSetting(name, nil)
	}
	value, err := p.rest()
	if err != nil {
		return err
	}
	if list := tokenize(value).list; len(list) == 1 {
		value = list[0].text // without quotes
	}
	return checkSetting(name, &value)
}
