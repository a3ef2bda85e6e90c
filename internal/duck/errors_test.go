//go:build duckdb_arrow

package duck

import (
	"strings"
	"testing"

	"skein/internal/fault"
)

func TestClassify(t *testing.T) {
	const around = "Invalid Input Error: Attempting to execute an unsuccessful or closed pending query result\nError: "
	for _, c := range []struct {
		message string
		code    fault.Code
		text    string
	}{
		{"INTERRUPT Error: Interrupted!", fault.Canceled, "INTERRUPT Error: Interrupted!"},
		{around + `{"exception_type":"INTERRUPT","exception_message":"Interrupted!"}`, fault.Canceled, "INTERRUPT Error: Interrupted!"},
		{around + `{"exception_type":"Conversion","exception_message":"no number"}`, fault.InvalidArgument, "Conversion Error: no number"},
		{`{"exception_type":"Binder","exception_message":"no column","position":"7"}`, fault.InvalidArgument, "Binder Error: no column"},
		{`{"exception_type":"Out of Memory","exception_message":"full"}`, fault.ResourceExhausted, "Out of Memory Error: full"},
		{"IO Error: no disk", fault.Unavailable, "IO Error: no disk"},
		{"something else", fault.InvalidArgument, "something else"},
	} {
		err := classify(c.message)
		if fault.CodeOf(err) != c.code || !strings.HasPrefix(err.Error(), c.text) {
			t.Errorf("%s: %v (%s)", c.message, err, fault.CodeOf(err))
		}
	}
}
