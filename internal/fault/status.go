package fault

import (
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// class is how one code looks over gRPC and over HTTP.
type class struct {
	grpc codes.Code
	http int
	name string
}

var classes = map[Code]class{
	Internal:           {codes.Internal, 500, "INTERNAL"},
	InvalidArgument:    {codes.InvalidArgument, 400, "INVALID_ARGUMENT"},
	Unauthenticated:    {codes.Unauthenticated, 401, "UNAUTHENTICATED"},
	PermissionDenied:   {codes.PermissionDenied, 403, "PERMISSION_DENIED"},
	NotFound:           {codes.NotFound, 404, "NOT_FOUND"},
	AlreadyExists:      {codes.AlreadyExists, 409, "ALREADY_EXISTS"},
	FailedPrecondition: {codes.FailedPrecondition, 409, "FAILED_PRECONDITION"},
	Aborted:            {codes.Aborted, 409, "ABORTED"},
	TooLarge:           {codes.OutOfRange, 413, "TOO_LARGE"},
	ResourceExhausted:  {codes.ResourceExhausted, 429, "RESOURCE_EXHAUSTED"},
	Canceled:           {codes.Canceled, 499, "CANCELED"},
	Unimplemented:      {codes.Unimplemented, 501, "UNIMPLEMENTED"},
	Unavailable:        {codes.Unavailable, 503, "UNAVAILABLE"},
	DeadlineExceeded:   {codes.DeadlineExceeded, 504, "DEADLINE_EXCEEDED"},
}

// HTTP is the HTTP status of the code.
func (c Code) HTTP() int { return classes[c].http }

// String is the code's name in error bodies, such as "NOT_FOUND".
func (c Code) String() string { return classes[c].name }

const errorDomain = "skein"

// Status turns err into a gRPC status error that From turns back without
// loss. A nil err stays nil; an err that already is a status stays as it is.
func Status(err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		if s, ok := status.FromError(err); ok {
			return s.Err()
		}
	}
	code := CodeOf(err)
	st := status.New(classes[code].grpc, err.Error())
	withInfo, detailErr := st.WithDetails(&errdetails.ErrorInfo{Reason: code.String(), Domain: errorDomain, Metadata: Details(err)})
	if detailErr == nil {
		st = withInfo
	}
	if d := RetryAfter(err); d > 0 {
		if withRetry, detailErr := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(d)}); detailErr == nil {
			st = withRetry
		}
	}
	return st.Err()
}

// From reads a gRPC status error of another node back into a classified
// error. What is not a status is returned as it is.
func From(err error) error {
	if err == nil || CodeOf(err) != Internal {
		return err
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	e := New(codeOfGRPC(st.Code()), st.Message())
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.Domain == errorDomain {
				e.code, e.details = codeByName(d.Reason, e.code), d.Metadata
			}
		case *errdetails.RetryInfo:
			e.retryAfter = max(d.RetryDelay.AsDuration(), time.Millisecond)
		}
	}
	return e
}

func codeOfGRPC(g codes.Code) Code {
	for c, k := range classes {
		if k.grpc == g {
			return c
		}
	}
	return Internal
}

func codeByName(name string, otherwise Code) Code {
	for c, k := range classes {
		if k.name == name {
			return c
		}
	}
	return otherwise
}
