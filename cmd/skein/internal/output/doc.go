// Package output prints results for people and scripts: as tables, one value to
// a line, CSV, JSON or NDJSON.
//
// It owns how tables look. How single values look belongs to internal/render;
// where rows come from is not its concern.
package output
