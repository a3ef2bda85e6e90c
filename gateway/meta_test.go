package gateway

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"skein/coordinator/catalog"
	"skein/internal/fault"
	"skein/meta"
	"skein/meta/snapshot"
)

// fakeCatalog answers as it is told.
type fakeCatalog struct {
	Catalog
	steps []catalog.Progress
	err   error
	got   catalog.RestoreRequest
}

func (f *fakeCatalog) Restore(_ context.Context, r catalog.RestoreRequest, tell func(catalog.Progress)) (catalog.Restored, error) {
	f.got = r
	for _, p := range f.steps {
		tell(p)
	}
	return catalog.Restored{Key: "metadata/backups/x", Report: snapshot.Report{DryRun: r.DryRun, At: time.Unix(0, 0)}}, f.err
}

func (f *fakeCatalog) Ring(context.Context) (meta.Ring, error) {
	return meta.NewRing([]string{"a", "b"}), nil
}

// TestMetaStreams: an RPC that tells its progress is lines of JSON; an error
// before the first line has a status of its own, one after it is the last line.
func TestMetaStreams(t *testing.T) {
	f := &fakeCatalog{}
	h, err := NewHandler(NewService(nil, Options{Catalog: f}), HandlerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	post := func(body string) (int, string, []string) {
		t.Helper()
		res, err := http.Post(server.URL+"/v1/meta/restore", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, res.Header.Get("Content-Type"), strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	f.steps = []catalog.Progress{{Step: "one"}, {Step: "two", Done: 3, Total: 4}}
	status, media, lines := post(`{"snapshot":"s","tables":["t"],"keys":["k"],"missing":true,"newer":true,"dry_run":true}`)
	if status != 200 || media != "application/x-ndjson" || len(lines) != 3 ||
		lines[1] != `{"progress":{"step":"two","done":3,"total":4}}` || !strings.HasPrefix(lines[2], `{"result":{"snapshot":"metadata/backups/x"`) {
		t.Errorf("%d %s %q", status, media, lines)
	}
	if f.got.Snapshot != "s" || !f.got.Newer || !f.got.DryRun || !f.got.Missing || len(f.got.Tables) != 1 || len(f.got.Keys) != 1 {
		t.Errorf("%+v", f.got)
	}
	f.err = fault.New(fault.FailedPrecondition, "damaged")
	if status, _, lines := post(`{}`); status != 200 || len(lines) != 3 || !strings.Contains(lines[2], `"code":"FAILED_PRECONDITION"`) {
		t.Errorf("%d %q", status, lines)
	}
	f.steps = f.steps[:1]
	if status, media, lines := post(``); status != 409 || media != "application/json" || len(lines) != 1 {
		t.Errorf("%d %s %q", status, media, lines)
	}
	for _, bad := range []string{`{"nosuch":1}`, `{`, `{"tables":7}`} {
		if status, _, lines := post(bad); status != 400 {
			t.Errorf("%s: %d %q", bad, status, lines)
		}
	}
	res, err := http.Get(server.URL + "/v1/meta/ring?table=t&id=7")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || res.StatusCode != 200 || !strings.Contains(string(text), `"owners":["`) {
		t.Errorf("%d %s %v", res.StatusCode, text, err)
	}
}
