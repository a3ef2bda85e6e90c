package server

import (
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"skein/internal/realtest"
	"skein/objstore/s3"
)

// TestRooms watches two endpoints of a real MinIO, one of them with a wrong
// key.
func TestRooms(t *testing.T) {
	m := realtest.StartMinIO(t)
	o := s3.Options{Endpoint: m.Endpoint, AccessKey: m.AccessKey, SecretKey: m.SecretKey, Bucket: "data", AttemptsMax: 1}
	good, err := s3.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	o.SecretKey = "the-wrong-secret"
	bad, err := s3.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	var alerts []string
	r := newRooms("n/1", []endpointRoom{{set: "primary", name: "good", store: good}}, prometheus.NewRegistry(),
		func(kind, subject, _ string) { alerts = append(alerts, kind+" "+subject) })
	r.check(t.Context())
	if free, refusals := r.now("primary"); free == "" || len(refusals) != 0 || len(alerts) != 0 {
		t.Errorf("%q %q %q", free, refusals, alerts)
	}
	fields := map[string]string{}
	r.describe(fields)
	if fields["primary_access"] != "ok" || fields["primary_capacity"] != "ok" || fields["primary_free_bytes"] == "" {
		t.Error(fields)
	}
	for info, err := range good.List(t.Context(), trialPrefix) {
		t.Error("left behind:", info, err)
	}

	r.all[0].store = bad
	r.check(t.Context())
	r.check(t.Context()) // says it once
	if _, refusals := r.now("primary"); len(refusals) != 1 {
		t.Errorf("%q", refusals)
	}
	r.all[0].store = good
	r.all[0].low = true
	r.check(t.Context())
	m.Kill()
	r.check(t.Context()) // told elsewhere
	if want := []string{"store-refuses good", "store-accepts good", "capacity-ok good"}; !slices.Equal(alerts, want) {
		t.Errorf("%q, want %q", alerts, want)
	}
}
