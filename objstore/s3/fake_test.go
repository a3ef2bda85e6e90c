package s3_test

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"skein/internal/fault"
	"skein/objstore"
	"skein/objstore/s3"
)

// fake starts an S3 server in this process. Around sees every request first
// and may leave it to the server or not. It takes no upload in parts.
func fake(t testing.TB, around func(w http.ResponseWriter, r *http.Request, server http.Handler)) s3.Options {
	t.Helper()
	server := gofakes3.New(s3mem.New(), gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { around(w, r, server) }))
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.Start()
	t.Cleanup(web.Close)
	return s3.Options{
		Endpoint: web.URL, AccessKey: "an-access-key", SecretKey: "a-secret-key",
		Bucket: "bucket", Region: "us-east-1", AttemptsMax: 3,
	}
}

// failing answers the first n requests of a method for objects with status.
func failing(n int32, method string, status int) (around func(http.ResponseWriter, *http.Request, http.Handler), seen *atomic.Int32) {
	seen = new(atomic.Int32)
	return func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		if r.Method == method && strings.Count(r.URL.Path, "/") > 1 && !strings.HasSuffix(r.URL.Path, "/") && seen.Add(1) <= n {
			w.WriteHeader(status)
			return
		}
		server.ServeHTTP(w, r)
	}, seen
}

func TestRequestsAreTriedAgain(t *testing.T) {
	around, seen := failing(2, http.MethodPut, http.StatusServiceUnavailable)
	s := open(t, fake(t, around))
	put(t, s, "a", "text")
	if seen.Load() != 3 {
		t.Errorf("%d requests, want 3", seen.Load())
	}
	if r, err := s.Get(t.Context(), "a", 0, -1); err != nil {
		t.Error(err)
	} else if b, err := io.ReadAll(r); string(b) != "text" || err != nil || r.Close() != nil {
		t.Errorf("%q, %v", b, err)
	}
}

func TestTriesAreLimited(t *testing.T) {
	around, seen := failing(1000, http.MethodPut, http.StatusServiceUnavailable)
	s := open(t, fake(t, around))
	err := s.Put(t.Context(), "a", strings.NewReader("text"), 4)
	if fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
	if seen.Load() != 3 {
		t.Errorf("%d requests, want 3", seen.Load())
	}
}

func TestStatusHasItsClass(t *testing.T) {
	for status, code := range map[int]fault.Code{
		http.StatusForbidden:             fault.PermissionDenied,
		http.StatusUnauthorized:          fault.PermissionDenied,
		http.StatusInsufficientStorage:   fault.ResourceExhausted,
		http.StatusRequestEntityTooLarge: fault.TooLarge,
		http.StatusTooManyRequests:       fault.Unavailable,
		http.StatusInternalServerError:   fault.Unavailable,
		http.StatusBadGateway:            fault.Unavailable,
		http.StatusBadRequest:            fault.FailedPrecondition,
	} {
		around, _ := failing(1000, http.MethodPut, status)
		options := fake(t, around)
		options.AttemptsMax = 1
		err := open(t, options).Put(t.Context(), "a", strings.NewReader("text"), 4)
		if fault.CodeOf(err) != code || !strings.Contains(err.Error(), options.Endpoint) {
			t.Errorf("status %d gives %v %v", status, fault.CodeOf(err), err)
		}
		wantNoSecrets(t, options, err)
	}
}

func wantNoSecrets(t *testing.T, options s3.Options, err error) {
	t.Helper()
	for _, secret := range []string{options.AccessKey, options.SecretKey} {
		if err != nil && secret != "" && strings.Contains(err.Error(), secret) {
			t.Errorf("%q tells a secret", err)
		}
	}
}

// breaking cuts each of the first n answers to GET in the middle of the body.
func breaking(n int32) (around func(http.ResponseWriter, *http.Request, http.Handler), ranges *[]string) {
	ranges = new([]string)
	return func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "object") {
			server.ServeHTTP(w, r)
			return
		}
		*ranges = append(*ranges, r.Header.Get("Range"))
		if int32(len(*ranges)) > n {
			server.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, r)
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", answer.Header().Get("Content-Length"))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()[:4])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}, ranges
}

func TestReadGoesOnWhereItBroke(t *testing.T) {
	around, ranges := breaking(2)
	s := open(t, fake(t, around))
	put(t, s, "object", "0123456789abcdef")
	r, err := s.Get(t.Context(), "object", 2, 13)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil || string(b) != "23456789abcde" {
		t.Errorf("%q, %v", b, err)
	}
	if got := strings.Join(*ranges, " "); got != "bytes=2-14 bytes=6-14 bytes=10-14" {
		t.Errorf("asked for %s", got)
	}
}

func TestReadThatKeepsBreakingFails(t *testing.T) {
	around, ranges := breaking(1000)
	options := fake(t, around)
	s := open(t, options)
	put(t, s, "object", "0123456789abcdef")
	r, err := s.Get(t.Context(), "object", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), `"object"`) {
		t.Errorf("%q, %v", b, err)
	}
	if len(*ranges) != options.AttemptsMax {
		t.Errorf("asked for %v", *ranges)
	}
}

func TestReplacedWhileReadIsNotMixed(t *testing.T) {
	around, _ := breaking(1)
	var first string // the ETag of the first answer
	s := open(t, fake(t, func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		if match := r.Header.Get("If-Match"); match != "" { // the fake does not know it
			if strings.Trim(match, `"`) != first {
				t.Errorf("If-Match is %s, the object was %s", match, first)
			}
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		if r.Method == http.MethodGet {
			defer func() { first = strings.Trim(w.Header().Get("Etag"), `"`) }()
		}
		around(w, r, server)
	}))
	put(t, s, "object", "0123456789abcdef")
	r, err := s.Get(t.Context(), "object", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	put(t, s, "object", "other text, longer than it was")
	if b, err := io.ReadAll(r); fault.CodeOf(err) != fault.Aborted {
		t.Errorf("%q, %v", b, err)
	}
}

func TestStalledServerIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	options := fake(t, func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "object") {
			w.Header().Set("Content-Length", "10")
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			_, _ = w.Write([]byte("12345"))
			w.(http.Flusher).Flush()
			<-release
			return
		}
		server.ServeHTTP(w, r)
	})
	t.Cleanup(func() { close(release) })
	options.StallTimeout, options.AttemptsMax = 50*time.Millisecond, 2
	s := open(t, options)
	r, err := s.Get(t.Context(), "object", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
}

func TestPutTriedAgainKeepsItsChecksum(t *testing.T) {
	var sums []string
	options := fake(t, func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "object") {
			sums = append(sums, r.Header.Get("X-Amz-Checksum-Crc32c"))
			if len(sums) == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
		}
		server.ServeHTTP(w, r)
	})
	put(t, open(t, options), "object", "123456789")
	if strings.Join(sums, " ") != "4waSgw== 4waSgw==" { // CRC-32C of the digits, e3069283
		t.Errorf("sums %q", sums)
	}
}

func TestMissingBucketIsMade(t *testing.T) {
	options := fake(t, func(w http.ResponseWriter, r *http.Request, server http.Handler) { server.ServeHTTP(w, r) })
	put(t, open(t, options), "a", "text")
	if info, err := open(t, options).Stat(t.Context(), "a"); err != nil || info.Size != 4 {
		t.Errorf("opened again: %+v, %v", info, err)
	}
}

func TestOptions(t *testing.T) {
	good := s3.Options{Endpoint: "http://127.0.0.1:1", AccessKey: "access", SecretKey: "secret-word", Bucket: "bucket"}
	for name, change := range map[string]func(o *s3.Options){
		"no endpoint":    func(o *s3.Options) { o.Endpoint = "" },
		"no scheme":      func(o *s3.Options) { o.Endpoint = "127.0.0.1:9000" },
		"other scheme":   func(o *s3.Options) { o.Endpoint = "ftp://127.0.0.1" },
		"path":           func(o *s3.Options) { o.Endpoint = "http://127.0.0.1/path" },
		"password":       func(o *s3.Options) { o.Endpoint = "http://me:secret-word@127.0.0.1" },
		"broken":         func(o *s3.Options) { o.Endpoint = "http://me:secret-word@%zz" },
		"no bucket":      func(o *s3.Options) { o.Bucket = "" },
		"bad bucket":     func(o *s3.Options) { o.Bucket = "Not_A_Bucket" },
		"half a key":     func(o *s3.Options) { o.SecretKey = "" },
		"negative tries": func(o *s3.Options) { o.AttemptsMax = -1 },
		"small parts":    func(o *s3.Options) { o.PartBytes = 1 },
	} {
		options := good
		change(&options)
		_, err := s3.Open(t.Context(), options)
		if fault.CodeOf(err) != fault.InvalidArgument || strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%s: %v", name, err)
		}
	}
	good.AttemptsMax = 1
	_, err := s3.Open(t.Context(), good) // nobody listens there
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), good.Endpoint) || errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("nobody listens: %v", err)
	}
	wantNoSecrets(t, good, err)
}
