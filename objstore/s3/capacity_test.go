package s3_test

import (
	"net/http"
	"testing"

	"skein/internal/fault"
	"skein/internal/realtest"
	"skein/objstore/s3"
)

func TestCapacity(t *testing.T) {
	m := realtest.StartMinIO(t)
	s := open(t, minioOptions(t, m))
	c, err := s.Capacity(t.Context())
	if err != nil || c.Total <= 0 || c.Free <= 0 || c.Free > c.Total || c.Share() <= 0 || c.Share() > 1 {
		t.Errorf("%+v, %v", c, err)
	}
	t.Logf("%d of %d bytes free", c.Free, c.Total)
	wrong := minioOptions(t, m)
	wrong.SecretKey = "the-wrong-secret"
	s, err = s3.New(wrong)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Capacity(t.Context()); fault.CodeOf(err) != fault.PermissionDenied {
		t.Error(err)
	}
	m.Kill()
	if _, err := s.Capacity(t.Context()); fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
}

// Other S3 servers do not know the question, and drives that are away have no
// room.
func TestCapacityOfOthers(t *testing.T) {
	answers := []struct {
		status int
		body   string
		code   fault.Code
	}{
		{http.StatusNotFound, "", fault.Unimplemented},
		{http.StatusOK, "<html>", fault.Unimplemented},
		{http.StatusServiceUnavailable, "", fault.Unavailable},
		{http.StatusOK, `{"Disks":[{"state":"ok","totalspace":10,"availspace":4},{"state":"offline","totalspace":10,"availspace":9}]}`, -1},
	}
	at := 0
	s := open(t, fake(t, func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		if r.URL.Path != "/minio/admin/v3/storageinfo" {
			server.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(answers[at].status)
		_, _ = w.Write([]byte(answers[at].body))
	}))
	for ; at < len(answers); at++ {
		c, err := s.Capacity(t.Context())
		if answers[at].code == -1 {
			if err != nil || c != (s3.Capacity{Free: 4, Total: 10}) {
				t.Errorf("%+v, %v", c, err)
			}
		} else if fault.CodeOf(err) != answers[at].code {
			t.Errorf("%d %s: %v", answers[at].status, answers[at].body, err)
		}
	}
}
