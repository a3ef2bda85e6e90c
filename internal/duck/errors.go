package duck

import (
	"strings"

	"skein/internal/fault"
)

// errorCodes are the classes of DuckDB's errors that are not the statement's
// fault, by the words that its message starts with.
var errorCodes = []struct {
	prefix string
	code   fault.Code
}{
	{"INTERNAL Error", fault.Internal},
	{"FATAL Error", fault.Internal},
	{"Out of Memory Error", fault.ResourceExhausted},
	{"INTERRUPT Error", fault.Canceled},
	{"IO Error", fault.Unavailable},
	{"HTTP Error", fault.Unavailable},
	{"Permission Error", fault.PermissionDenied},
	{"Not implemented Error", fault.Unimplemented},
}

// classify makes an error of a message of DuckDB. Whatever is not known to be
// the machine's fault is the statement's.
func classify(msg string) error {
	for _, c := range errorCodes {
		if strings.HasPrefix(msg, c.prefix) {
			return fault.New(c.code, msg)
		}
	}
	return fault.New(fault.InvalidArgument, msg)
}
