package format

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"skein/internal/fault"
)

// Format is a way to send rows.
type Format string

// The formats. Default is not a stream: one JSON message with result_json.
const (
	Default Format = ""
	JSON    Format = "json"
	NDJSON  Format = "ndjson"
	CSV     Format = "csv"
	Arrow   Format = "arrow"
)

var mediaTypes = map[Format]string{
	JSON:   "application/json",
	NDJSON: "application/x-ndjson",
	CSV:    "text/csv; charset=utf-8; header=present",
	Arrow:  "application/vnd.apache.arrow.stream",
}

// MediaType is the Content-Type of the format.
func (f Format) MediaType() string { return mediaTypes[f] }

var accepted = map[string]Format{
	"application/x-ndjson":                NDJSON,
	"application/ndjson":                  NDJSON,
	"text/csv":                            CSV,
	"application/vnd.apache.arrow.stream": Arrow,
}

// Choose takes the format from ?format=, else from the Accept header, where
// everything unknown, application/json too, means Default.
func Choose(r *http.Request) (Format, error) {
	if q := r.URL.Query(); q.Has("format") {
		f := Format(q.Get("format"))
		if _, ok := mediaTypes[f]; !ok {
			return Default, fault.Newf(fault.InvalidArgument, "format %.40q: use json, ndjson, csv or arrow", string(f))
		}
		return f, nil
	}
	best, chosen := 0.0, Default
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		if q := quality(params["q"]); q > best {
			best, chosen = q, accepted[media]
		}
	}
	return chosen, nil
}

func quality(q string) float64 {
	if q == "" {
		return 1
	}
	f, err := strconv.ParseFloat(q, 64)
	if err != nil {
		return 0
	}
	return f
}
