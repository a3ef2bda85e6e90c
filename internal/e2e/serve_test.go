package e2e

import (
	"encoding/base64"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	olapv1 "skein/proto/olap/v1"
)

// TestOpenAddressIsRefused starts nodes that other machines could reach.
func TestOpenAddressIsRefused(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--grpc-addr", "--http-addr"} {
		for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
			o := execute(t, nil, nil, binary(t), "serve", "--data-dir", t.TempDir(), flag, addr)
			if o.Exit != 2 || !strings.Contains(o.Stderr, flag) || !strings.Contains(o.Stderr, "--auth-file") || !strings.Contains(o.Stderr, "--insecure") {
				t.Errorf("%s %s: exit %d: %s", flag, addr, o.Exit, o.Stderr)
			}
		}
	}
	n := newNode(t, "open", "--insecure")
	n.GRPC, n.HTTP = "0.0.0.0:0", "0.0.0.0:0"
	n.Start()
	wantSame(t, n.query(t, "SELECT 1 AS one"), `[{"one":1}]`)
	n = newNode(t, "guarded", "--auth-file", authFile(t))
	n.GRPC, n.HTTP = "0.0.0.0:0", "0.0.0.0:0"
	n.Start()
	n.get(t, "/v1/tables").wantError(t, 401, "UNAUTHENTICATED")
}

// TestMistakesInFlags wants a message and exit code 2 for a command line that
// cannot be right.
func TestMistakesInFlags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		word string
	}{
		{[]string{"serve", "--no-such-flag"}, "--no-such-flag"},
		{[]string{"serve", "--grpc-addr", "nonsense"}, "HOST:PORT"},
		{[]string{"serve", "--redis", "redis://127.0.0.1:1/0"}, "--s3"},
		{[]string{"serve", "--s3", "http://127.0.0.1:1"}, "--s3-access-key"},
		{[]string{"serve", "--roles", "king"}, "coordinator"},
		{[]string{"serve", "--tls-cert", "x"}, "--tls-key"},
		{[]string{"load"}, "--table"},
		{[]string{"fly"}, "fly"},
	} {
		o := execute(t, nil, nil, append([]string{binary(t)}, c.args...)...)
		if o.Exit != 2 || !strings.Contains(o.Stderr, c.word) {
			t.Errorf("%v: exit %d: %s", c.args, o.Exit, o.Stderr)
		}
	}
	o := execute(t, nil, nil, binary(t), "serve", "--data-dir", t.TempDir(), "--auth-file", "/nowhere/auth.yaml", "--grpc-addr", anyPort, "--http-addr", anyPort)
	if o.Exit == 0 || !strings.Contains(o.Stderr, "/nowhere/auth.yaml") {
		t.Errorf("a missing auth file: exit %d: %s", o.Exit, o.Stderr)
	}
	o = execute(t, nil, nil, binary(t), "sql", "--addr", "127.0.0.1:1", "-c", "SELECT 1")
	if o.Exit != 1 || !strings.Contains(o.Stderr, "127.0.0.1:1") {
		t.Errorf("no server: exit %d: %s", o.Exit, o.Stderr)
	}
}

// TestDataDirHasOneOwner starts a second node on the directory of a running
// one.
func TestDataDirHasOneOwner(t *testing.T) {
	t.Parallel()
	n := startNode(t, "owner")
	o := execute(t, nil, nil, binary(t), "serve", "--data-dir", n.Dir, "--grpc-addr", anyPort, "--http-addr", anyPort)
	if o.Exit != 1 || o.Stderr == "" {
		t.Errorf("exit %d: %s", o.Exit, o.Stderr)
	}
	wantSame(t, n.query(t, "SELECT 1 AS one"), `[{"one":1}]`)
}

func authFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "auth.yaml")
	text := `users:
  - {name: ann, password: right, role: admin}
  - {name: rita, password: readonly, role: read}
tokens:
  - {name: collector, token: push-push, role: write}
cluster_secret: a long text that nodes share
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	n := startNode(t, "auth", "--auth-file", authFile(t))
	const (
		nobody, wrong = "", "Bearer wrong"
		collector     = "Bearer push-push"
	)
	ann, rita := basic("ann", "right"), basic("rita", "readonly")
	record := encode(t, record{"events", "a", "", object{"n": 1}})
	for _, c := range []struct {
		name, who, method, path string
		body                    []byte
		status                  int
	}{
		{"nobody lists", nobody, "GET", "/v1/tables", nil, 401},
		{"nobody reads metrics", nobody, "GET", "/metrics", nil, 401},
		{"a wrong token", wrong, "GET", "/v1/tables", nil, 401},
		{"a wrong password", basic("ann", "wrong"), "GET", "/v1/tables", nil, 401},
		{"an unknown user", basic("eve", "right"), "GET", "/v1/tables", nil, 401},
		{"anybody may see that it is up", nobody, "GET", "/readyz", nil, 200},
		{"a reader creates", rita, "POST", "/v1/tables", []byte(`{"table_name":"events"}`), 403},
		{"an admin creates", ann, "POST", "/v1/tables", []byte(`{"table_name":"events"}`), 200},
		{"a reader writes", rita, "POST", "/v1/data", record, 403},
		{"a writer writes", collector, "POST", "/v1/data", record, 200},
		{"a writer drops", collector, "DELETE", "/v1/tables/events?cascade=true", nil, 403},
		{"a reader queries", rita, "POST", "/v1/query", []byte(`{"sql":"SELECT n FROM events"}`), 200},
		{"a reader drops by SQL", rita, "POST", "/v1/query", []byte(`{"sql":"DROP TABLE events"}`), 403},
		{"a writer drops by SQL", collector, "POST", "/v1/query", []byte(`{"sql":"DROP TABLE events"}`), 403},
		{"a reader creates by SQL", rita, "POST", "/v1/query?format=csv", []byte(`{"sql":"CREATE TABLE x (a INTEGER)"}`), 403},
		{"nobody queries", nobody, "POST", "/v1/query", []byte(`{"sql":"SELECT 1"}`), 401},
	} {
		var header []string
		if c.who != "" {
			header = []string{"Authorization", c.who}
		}
		a := n.do(t, c.method, c.path, "application/json", c.body, header...)
		if a.Status != c.status {
			t.Errorf("%s: status %d, want %d: %s", c.name, a.Status, c.status, a.Body)
			continue
		}
		switch c.status {
		case 401:
			a.wantError(t, 401, "UNAUTHENTICATED")
			if a.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: no WWW-Authenticate", c.name)
			}
		case 403:
			a.wantError(t, 403, "PERMISSION_DENIED", "role")
		}
	}
	authenticationOverGRPC(t, n, ann, rita)
	authenticationOfTools(t, n)
}

func authenticationOverGRPC(t *testing.T, n *node, ann, rita string) {
	t.Helper()
	c, flight := olapv1.NewOlapServiceClient(n.dial(t)), n.flight(t)
	as := func(who string) []string { return []string{"authorization", who} }
	_, err := c.ListTables(t.Context(), &olapv1.ListTablesRequest{})
	wantCode(t, err, codes.Unauthenticated, "credentials")
	_, err = flight.Execute(t.Context(), "SELECT 1")
	wantCode(t, err, codes.Unauthenticated, "credentials")
	reader := metadata.AppendToOutgoingContext(t.Context(), as(rita)...)
	_, err = c.ListTables(reader, &olapv1.ListTablesRequest{})
	wantCode(t, err, codes.OK, "")
	_, err = c.DropTable(reader, &olapv1.DropTableRequest{TableName: "events", Cascade: true})
	wantCode(t, err, codes.PermissionDenied, "role")
	_, err = flight.ExecuteUpdate(reader, "DROP TABLE events")
	wantCode(t, err, codes.PermissionDenied, "role")
	_, err = flight.Execute(reader, "SELECT * FROM events")
	wantCode(t, err, codes.OK, "")
	_, err = c.DescribeTable(metadata.AppendToOutgoingContext(t.Context(), as(ann)...), &olapv1.DescribeTableRequest{TableName: "events"})
	wantCode(t, err, codes.OK, "")
	_, err = flight.Client.AuthenticateBasicToken(t.Context(), "ann", "wrong")
	wantCode(t, err, codes.Unauthenticated, "password")
	ctx, err := flight.Client.AuthenticateBasicToken(t.Context(), "ann", "right")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flight.ExecuteUpdate(ctx, "DROP TABLE events"); err != nil {
		t.Error(err)
	}
}

func authenticationOfTools(t *testing.T, n *node) {
	t.Helper()
	run := func(env ...string) output {
		return execute(t, env, nil, binary(t), "sql", "--addr", n.GRPC, "--format", "csv", "-c", "SELECT 1 AS one")
	}
	if o := run(); o.Exit != 1 || !strings.Contains(o.Stderr, "credentials") {
		t.Errorf("without credentials: exit %d: %s", o.Exit, o.Stderr)
	}
	if o := run("SKEIN_USER=rita", "SKEIN_PASSWORD=wrong"); o.Exit != 1 {
		t.Errorf("with a wrong password: exit %d", o.Exit)
	}
	for _, env := range [][]string{{"SKEIN_USER=rita", "SKEIN_PASSWORD=readonly"}, {"SKEIN_TOKEN=push-push"}} {
		if o := run(env...); o.Exit != 0 || o.Stdout != "one\n1\n" {
			t.Errorf("%v: exit %d: %q %s", env, o.Exit, o.Stdout, o.Stderr)
		}
	}
}

// TestNodesShareASecret runs a cluster whose nodes must show each other the
// secret of their auth files.
func TestNodesShareASecret(t *testing.T) {
	t.Parallel()
	path := authFile(t)
	c := startCluster(t, 2, "--auth-file", path)
	admin := []string{"Authorization", basic("ann", "right")}
	n := c.Nodes[0]
	n.do(t, "POST", "/v1/tables", "application/json", []byte(`{"table_name":"events","config":{"flush_interval_seconds":3600}}`), admin...).want(t, 200)
	n.do(t, "POST", "/v1/data", "application/x-ndjson", lines(t, numbered("events", 0, 100)), admin...).want(t, 200)
	if open := c.openUnits("events"); len(open) != 2 {
		t.Errorf("the rows are on %v, want both nodes", open)
	}
	for _, n := range c.Nodes {
		a := n.do(t, http.MethodPost, "/v1/query", "application/json", []byte(`{"sql":"SELECT count(*) AS c FROM events"}`), admin...)
		wantResult(t, a, `[{"c":100}]`)
	}
	conn := n.dial(t)
	err := conn.Invoke(metadata.AppendToOutgoingContext(t.Context(), "authorization", admin[1]), "/node.v1.NodeService/Flush", &olapv1.GetNodesRequest{}, &olapv1.GetNodesResponse{})
	wantCode(t, err, codes.PermissionDenied, "role")
}

// TestSecretsStayOutOfSight looks for a secret in the log and in the list of
// processes.
func TestSecretsStayOutOfSight(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1)
	n := c.Nodes[0]
	n.createTable(t, "events", 1, 1)
	n.write(t, numbered("events", 0, 5))
	c.waitFlushed("events")
	_, secret, _ := strings.Cut(c.env[0], "=")
	log, err := os.ReadFile(n.logPath)
	if err != nil || strings.Contains(string(log), secret) {
		t.Errorf("the log holds the secret key (%v)", err)
	}
	ps, err := exec.Command(tool(t, "ps", "apt-get install -y procps"), "-o", "args=", "-p", strconv.Itoa(n.cmd.Process.Pid)).Output()
	if err != nil || strings.Contains(string(ps), secret) || !strings.Contains(string(ps), "serve") {
		t.Errorf("the process list holds the secret key: %v: %s", err, ps)
	}
}
