package duck

import (
	"encoding/json"
	"strings"
	"time"

	"skein/internal/fault"
)

// OffsetDetail is the detail of an error that holds the place of the fault in
// the statement, in bytes from 0.
const OffsetDetail = "offset"

// internalError begins the message of a statement that made its instance
// unusable, fatalError those of the statements that it took with it.
const internalError, fatalError = "INTERNAL Error", "FATAL Error"

// errorCodes are the classes of DuckDB's errors that are not the statement's
// fault, by the words that its message starts with.
var errorCodes = []struct {
	prefix string
	code   fault.Code
}{
	{internalError, fault.Internal},
	{fatalError, fault.Unavailable},
	{"Out of Memory Error", fault.ResourceExhausted},
	{"INTERRUPT Error", fault.Canceled},
	{"IO Error", fault.Unavailable},
	{"HTTP Error", fault.Unavailable},
	{"Permission Error", fault.PermissionDenied},
	{"Not implemented Error", fault.Unimplemented},
}

// classify makes an error of a message of DuckDB, which is plain text or, from
// an instance that Open made, JSON. Whatever is not known to be the machine's
// fault is the statement's.
func classify(msg string) error {
	text, offset := plain(msg)
	code := fault.InvalidArgument
	for _, c := range errorCodes {
		if strings.HasPrefix(text, c.prefix) {
			code = c.code
		}
	}
	switch {
	case strings.HasPrefix(text, internalError):
		text, _, _ = strings.Cut(text, "\n") // behind it is a stack trace
		return fault.New(code, "DuckDB cannot run this statement: "+text)
	case strings.HasPrefix(text, fatalError):
		return fault.New(code, "DuckDB was stopped by another statement, and starts again; retry")
	case code == fault.ResourceExhausted:
		text, _, _ = strings.Cut(text, "\n") // behind it is advice to SET what a client may not set
		return fault.New(code, text+"; retry when fewer queries run, or give the server more memory").RetryIn(time.Second)
	}
	err := fault.New(code, text)
	if offset != "" {
		return err.With(OffsetDetail, offset)
	}
	return err
}

// invalidates tells a message after which DuckDB may refuse every statement.
func invalidates(msg string) bool {
	text, _ := plain(msg)
	return strings.HasPrefix(text, internalError) || strings.HasPrefix(text, fatalError)
}

// plain is the message as DuckDB's shell shows it, and the place of the fault.
func plain(msg string) (text, offset string) {
	var e struct {
		Type     string `json:"exception_type"`
		Message  string `json:"exception_message"`
		Position string `json:"position"`
	}
	// A statement that failed before its result was asked for says so around
	// its own error.
	if _, own, ok := strings.Cut(msg, "pending query result\nError: "); ok {
		msg = own
	}
	body := msg
	if kind, rest, ok := strings.Cut(msg, " Error: {"); ok && !strings.Contains(kind, "{") { // so do errors of the parser begin
		body = "{" + rest
	}
	if !strings.HasPrefix(body, "{") || json.Unmarshal([]byte(body), &e) != nil || e.Type == "" {
		return msg, ""
	}
	return e.Type + " Error: " + e.Message, e.Position
}
