package fault

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Code is the class of an error. The zero value is Internal: an error that
// nobody classified is a bug of ours.
type Code int

const (
	Internal           Code = iota
	InvalidArgument         // the request is wrong: 400
	Unauthenticated         // no or wrong credentials: 401
	PermissionDenied        // known user, not allowed: 403
	NotFound                // no such table, statement, object: 404
	AlreadyExists           // 409
	FailedPrecondition      // the state forbids it, a retry will not help: 409
	Aborted                 // a concurrent change won; read again and retry: 409
	TooLarge                // the body or message is over its limit: 413
	ResourceExhausted       // a queue or buffer is full; retry later: 429
	Canceled                // the caller went away: 499
	Unimplemented           // 501
	Unavailable             // a part is down; retry: 503
	DeadlineExceeded        // 504
)

// Error is a classified error. Compare with errors.Is against the sentinel
// that New returned; take the code with CodeOf.
type Error struct {
	code       Code
	msg        string
	details    map[string]string
	retryAfter time.Duration
	cause      error
}

// New makes a sentinel or a one-off error of the given class.
func New(code Code, msg string) *Error { return &Error{code: code, msg: msg} }

// Newf formats its message like fmt.Errorf; %w wraps.
func Newf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{code: code, msg: err.Error(), cause: errors.Unwrap(err)}
}

// Wrap classifies err, keeping its text. A nil err stays nil.
func Wrap(code Code, err error) error {
	if err == nil {
		return nil
	}
	return &Error{code: code, msg: err.Error(), cause: err}
}

func (e *Error) Error() string { return e.msg }
func (e *Error) Unwrap() error { return e.cause }

// With returns a copy that carries one more detail, such as "line": "3".
// errors.Is still finds the original.
func (e *Error) With(key, value string) *Error {
	c := &Error{code: e.code, msg: e.msg, retryAfter: e.retryAfter, cause: e, details: map[string]string{key: value}}
	for k, v := range e.details {
		if k != key {
			c.details[k] = v
		}
	}
	return c
}

// RetryIn returns a copy that tells the client when to try again.
func (e *Error) RetryIn(d time.Duration) *Error {
	return &Error{code: e.code, msg: e.msg, details: e.details, retryAfter: d, cause: e}
}

// CodeOf is the class of err: that of the outermost classified error in its
// chain, Canceled or DeadlineExceeded for a context's error, else Internal.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return DeadlineExceeded
	}
	return Internal
}

// Details returns what the error tells beside its message; may be nil.
func Details(err error) map[string]string {
	var e *Error
	if errors.As(err, &e) {
		return e.details
	}
	return nil
}

// RetryAfter is when to try again; zero if the error does not say.
func RetryAfter(err error) time.Duration {
	var e *Error
	if errors.As(err, &e) {
		return e.retryAfter
	}
	return 0
}
