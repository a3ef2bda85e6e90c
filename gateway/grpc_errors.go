package gateway

import (
	"context"
	"log/slog"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"skein/internal/fault"
)

// RecoverUnary answers Internal when a handler panics, and logs it. It also
// keeps the messages of errors so short that every client can read them.
func RecoverUnary(log *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
		defer func() {
			if p := recover(); p != nil {
				logPanic(ctx, log, info.FullMethod, p)
				err = fault.Status(errPanic)
			}
			err = shortened(err)
		}()
		return next(ctx, req)
	}
}

// RecoverStream does the same for streams.
func RecoverStream(log *slog.Logger) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
		defer func() {
			if p := recover(); p != nil {
				logPanic(ss.Context(), log, info.FullMethod, p)
				err = fault.Status(errPanic)
			}
			err = shortened(err)
		}()
		return next(srv, ss)
	}
}

// statusBytesMax bounds the message of a status. It travels twice, in the
// trailers, with up to three bytes for one; clients in Java and C take trailers
// of 8 KiB and tell the wrong error beyond.
const statusBytesMax = 1500

func shortened(err error) error {
	st, ok := status.FromError(err)
	if err == nil || !ok || len(st.Message()) <= statusBytesMax {
		return err
	}
	p := st.Proto()
	p.Message = strings.ToValidUTF8(p.Message[:statusBytesMax], "") + "…"
	return status.ErrorProto(p)
}
