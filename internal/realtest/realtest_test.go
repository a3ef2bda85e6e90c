package realtest_test

import (
	"net/http"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"skein/internal/realtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRedis(t *testing.T) {
	options, err := redis.ParseURL(realtest.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestRedisKillAndStart(t *testing.T) {
	s := realtest.StartRedis(t)
	client := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1})
	defer client.Close()
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Fatal("a killed server answers")
	}
	s.Start()
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestMinIO(t *testing.T) {
	endpoint, accessKey, secretKey := realtest.MinIO(t)
	if accessKey == "" || len(secretKey) < 8 {
		t.Fatalf("credentials %q, %d bytes", accessKey, len(secretKey))
	}
	transport := &http.Transport{DisableKeepAlives: true}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, endpoint+"/minio/health/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("status %s", response.Status)
	}
}
