package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"skein/gateway/auth"
	"skein/internal/fault"
	"skein/meta"
	olapv1 "skein/proto/olap/v1"
)

// HandlerOptions of NewHandler.
type HandlerOptions struct {
	Auth          *auth.Auth          // the server is open if nil
	Registry      prometheus.Gatherer // served at /metrics; no such path if nil
	Ready         func() bool         // whether queries are taken; always if nil
	Log           *slog.Logger        // nothing is logged if nil
	ClientTimeout time.Duration       // longest pause of a client that sends or reads; 1m if zero
}

const defaultClientTimeout = time.Minute

// handler serves REST over a Service.
type handler struct {
	service *Service
	opts    HandlerOptions
	routes  *http.ServeMux
	doors   http.Handler // routes, for those whom Auth knows
	origins *http.CrossOriginProtection
	openAPI []byte
}

// NewHandler returns the HTTP handler of REST, the health checks, the metrics
// and the API's description.
func NewHandler(s *Service, o HandlerOptions) (http.Handler, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Ready == nil {
		o.Ready = func() bool { return true }
	}
	if o.ClientTimeout == 0 {
		o.ClientTimeout = defaultClientTimeout
	}
	h := &handler{service: s, opts: o, routes: http.NewServeMux(), origins: http.NewCrossOriginProtection()}
	var err error
	if h.openAPI, err = openAPI(olapv1.OpenAPI()); err != nil {
		return nil, err
	}
	h.doors = o.Auth.Middleware(http.HandlerFunc(h.known), h.fail)
	h.addPages()
	return h, h.addAPI()
}

// addAPI adds a route for each RPC of OlapService and MetaService, where its
// annotation says.
func (h *handler) addAPI() error {
	rest, err := h.rest()
	if err != nil {
		return err
	}
	own := map[string]http.HandlerFunc{"Write": h.data, "Query": h.query}
	if err := h.addService(olapv1.File_olap_v1_olap_proto.Services().ByName("OlapService"), rest, own); err != nil {
		return err
	}
	return h.addService(olapv1.File_olap_v1_meta_proto.Services().ByName("MetaService"), rest, h.metaStreams())
}

func (h *handler) addService(service protoreflect.ServiceDescriptor, rest http.HandlerFunc, own map[string]http.HandlerFunc) error {
	for i := range service.Methods().Len() {
		m := service.Methods().Get(i)
		rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
		pattern := patternOf(rule)
		if pattern == "" {
			return fmt.Errorf("rpc %s has no HTTP path", m.Name())
		}
		serve, ok := own[string(m.Name())]
		if !ok {
			serve = rest
		}
		h.routes.HandleFunc(pattern, h.allowed(fmt.Sprintf("/%s/%s", service.FullName(), m.Name()), serve))
	}
	return nil
}

// patternOf is a rule as a pattern of net/http.
func patternOf(rule *annotations.HttpRule) string {
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return "GET " + p.Get
	case *annotations.HttpRule_Post:
		return "POST " + p.Post
	case *annotations.HttpRule_Delete:
		return "DELETE " + p.Delete
	}
	return ""
}

// allowed serves only who may call the RPC.
func (h *handler) allowed(rpc string, serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := auth.Allow(r, rpc); err != nil {
			h.fail(w, r, err)
			return
		}
		serve(w, r)
	}
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w := &response{ResponseWriter: rw, control: http.NewResponseController(rw), timeout: h.opts.ClientTimeout}
	r.Body = &body{ReadCloser: r.Body, control: w.control, timeout: h.opts.ClientTimeout}
	w.extend()
	defer w.extend() // for what net/http still has to send
	defer h.recovered(w, r)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.URL.Path == pathAlive || r.URL.Path == pathReady {
		h.route(w, r)
		return
	}
	h.doors.ServeHTTP(w, r)
}

// recovered turns a panic into a 500, or into a broken connection if the
// answer has begun.
func (h *handler) recovered(w *response, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	logPanic(r.Context(), h.opts.Log, r.Method+" "+r.URL.Path, p)
	if w.begun {
		panic(http.ErrAbortHandler)
	}
	h.write(w, r, errPanic)
}

var errPanic = fault.New(fault.Internal, "internal error: the server's log tells more")

func logPanic(ctx context.Context, log *slog.Logger, where string, p any) {
	log.ErrorContext(ctx, "panic", "in", where, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
}

// known lets in whom Auth knows. Everything but the health checks needs the
// role read at least.
func (h *handler) known(w http.ResponseWriter, r *http.Request) {
	if err := auth.Require(r.Context(), auth.Read); err != nil {
		h.fail(w, r, err)
		return
	}
	h.route(w, identifiedRequest(r))
}

// route finds the request's handler; what net/http would answer itself is
// answered here in the shape of all errors.
func (h *handler) route(w http.ResponseWriter, r *http.Request) {
	if err := h.origins.Check(r); err != nil {
		h.fail(w, r, fault.New(fault.PermissionDenied, "the request comes from a page of another site"))
		return
	}
	if err := checkTablePath(r.URL.EscapedPath()); err != nil {
		h.fail(w, r, err)
		return
	}
	if _, pattern := h.routes.Handler(r); pattern != "" && isCanonical(r.URL.EscapedPath()) {
		h.routes.ServeHTTP(w, r)
		return
	}
	allow := h.methodsAt(r)
	if len(allow) == 0 {
		h.fail(w, r, fault.Newf(fault.NotFound, "no such path: %.100s; see / for those that are", r.URL.Path))
		return
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	failStatus(w, r, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED",
		fault.Newf(fault.InvalidArgument, "%.20s is not for %.100s: use %s", r.Method, r.URL.Path, strings.Join(allow, " or ")))
}

// isCanonical is false for a path that net/http would redirect.
func isCanonical(escaped string) bool {
	clean := path.Clean(escaped)
	if strings.HasSuffix(escaped, "/") && clean != "/" {
		clean += "/"
	}
	return escaped == clean
}

// methodsAt are the methods that the request's path takes.
func (h *handler) methodsAt(r *http.Request) []string {
	if !isCanonical(r.URL.EscapedPath()) {
		return nil
	}
	var found []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = m
		if _, pattern := h.routes.Handler(other); pattern != "" {
			found = append(found, m)
		}
	}
	return found
}

// checkTablePath refuses a bad name under /v1/tables/ before any router can
// take its characters for path syntax.
func checkTablePath(escaped string) error {
	name, ok := strings.CutPrefix(escaped, "/v1/tables/")
	if !ok || name == "" {
		return nil
	}
	plain, err := url.PathUnescape(name)
	if err != nil {
		return fault.Newf(fault.InvalidArgument, "the path has a bad percent-escape: %.100q", name)
	}
	_, err = meta.ValidateTableName(plain)
	return err
}
