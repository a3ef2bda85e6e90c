package format

import (
	"net/http/httptest"
	"testing"

	"skein/internal/fault"
)

func TestChoose(t *testing.T) {
	for _, tc := range []struct {
		query, accept string
		want          Format
	}{
		{"", "", Default},
		{"", "*/*", Default},
		{"", "application/json", Default},
		{"", "application/json;charset=utf-8, text/csv", Default},
		{"", "text/csv, application/json", CSV},
		{"", "TEXT/CSV; header=present", CSV},
		{"", "text/csv;q=0.2, application/x-ndjson;q=0.8, */*;q=0.1", NDJSON},
		{"", "text/csv;q=0", Default},
		{"", "text/csv;q=x", Default},
		{"", "application/vnd.apache.arrow.stream", Arrow},
		{"", ";;;,,", Default},
		{"?format=json", "text/csv", JSON},
		{"?format=arrow", "", Arrow},
	} {
		r := httptest.NewRequest("POST", "/v1/query"+tc.query, nil)
		r.Header.Set("Accept", tc.accept)
		if got, err := Choose(r); got != tc.want || err != nil {
			t.Errorf("%q, %q: %q %v, want %q", tc.query, tc.accept, got, err, tc.want)
		}
	}
	for _, bad := range []string{"?format=", "?format=JSON", "?format=parquet"} {
		if _, err := Choose(httptest.NewRequest("POST", "/v1/query"+bad, nil)); fault.CodeOf(err) != fault.InvalidArgument {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
