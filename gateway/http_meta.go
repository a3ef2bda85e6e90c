package gateway

import (
	"context"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"skein/internal/fault"
	olapv1 "skein/proto/olap/v1"
)

// metaStreams are the RPCs of MetaService that tell their progress, which
// grpc-gateway cannot do within a process.
func (h *handler) metaStreams() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"CreateSnapshot": streamed[olapv1.CreateSnapshotRequest, olapv1.CreateSnapshotResponse](h, h.service.CreateSnapshot),
		"RestoreCatalog": streamed[olapv1.RestoreCatalogRequest, olapv1.RestoreCatalogResponse](h, h.service.RestoreCatalog),
		"RebuildIndex":   streamed[olapv1.RebuildIndexRequest, olapv1.RebuildIndexResponse](h, h.service.RebuildIndex),
		"CheckCatalog":   streamed[olapv1.CheckCatalogRequest, olapv1.CheckCatalogResponse](h, h.service.CheckCatalog),
		"RepairCatalog":  streamed[olapv1.RepairCatalogRequest, olapv1.RepairCatalogResponse](h, h.service.RepairCatalog),
	}
}

// message is a pointer to a message.
type message[T any] interface {
	*T
	proto.Message
}

// streamed serves an RPC that answers with a stream, as lines of JSON. An error
// after the first line is the last line, in the shape of all errors.
func streamed[In, Out any, PIn message[In], POut message[Out]](h *handler, call func(*In, grpc.ServerStreamingServer[Out]) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		req := new(In)
		data, err := readAll(r, r.Body, requestBytesMax)
		if err == nil && len(data) > 0 {
			if bad := (wire{}).Unmarshal(data, PIn(req)); bad != nil {
				err = fault.Wrap(fault.InvalidArgument, bad)
			}
		}
		if err != nil {
			h.fail(w, r, err)
			return
		}
		lines := &jsonLines[Out, POut]{ctx: r.Context(), w: w}
		err = fault.From(call(req, lines))
		switch {
		case err == nil:
			_ = lines.flush() // a client that is gone hears nothing
		case !lines.begun:
			h.fail(w, r, err)
		default:
			h.opts.Log.WarnContext(r.Context(), "request broke off", "path", r.URL.Path, "error", err)
			_ = lines.flush()
			_, _ = w.Write(append(errorJSON(fault.CodeOf(err).String(), err), '\n'))
		}
	}
}

// jsonLines writes the messages of a stream, each as a line. It holds the last
// one back, so that an early error has a status of its own.
type jsonLines[Out any, P message[Out]] struct {
	grpc.ServerStream // none: only what follows is called
	ctx               context.Context
	w                 http.ResponseWriter
	held              []byte
	begun             bool
}

// Context implements grpc.ServerStream.
func (l *jsonLines[Out, P]) Context() context.Context { return l.ctx }

// Send implements grpc.ServerStreamingServer.
func (l *jsonLines[Out, P]) Send(m *Out) error {
	if err := l.flush(); err != nil {
		return err
	}
	data, err := wire{}.Marshal(P(m))
	l.held = append(data, '\n')
	return err
}

// flush sends the line that is held back.
func (l *jsonLines[Out, P]) flush() error {
	if len(l.held) == 0 {
		return nil
	}
	if !l.begun {
		l.w.Header().Set("Content-Type", "application/x-ndjson")
		l.begun = true
	}
	if _, err := l.w.Write(l.held); err != nil {
		return err
	}
	l.held = nil
	return http.NewResponseController(l.w).Flush()
}
