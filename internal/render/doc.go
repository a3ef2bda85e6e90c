// Package render writes Arrow batches as text: JSON, NDJSON, CSV, and single
// values for tables.
//
// It owns how each Arrow type looks in text and what its SQL name is. It does
// not know where batches come from, who reads the text, or about terminals.
//
// The forms: integers of any width and decimals are JSON numbers with all
// their digits; a DOUBLE always shows that it is one (1.0); NaN and the
// infinities, which JSON lacks, are the strings "NaN", "Infinity",
// "-Infinity"; times are RFC 3339 (with Z when the type has a time zone,
// without any offset when it has none); BLOBs are base64 in JSON and escaped
// bytes (\xAB) in text; LISTs are arrays, STRUCTs objects, MAPs objects if
// their keys are strings, else arrays of {"key", "value"}.
package render
