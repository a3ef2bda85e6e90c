package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

type command struct {
	Config  string   `env:"SKEIN_TEST_CONFIG"`
	Name    string   `env:"SKEIN_TEST_NAME" default:"from-default"`
	Threads int      `env:"SKEIN_TEST_THREADS"`
	S3      []string `env:"SKEIN_TEST_S3" name:"s3"`
	Fast    bool
}

func (*command) BeforeResolve(ctx *kong.Context) error { return Load(ctx, "config") }

func parse(t *testing.T, args ...string) (command, error) {
	t.Helper()
	var cli struct {
		Other struct {
			Name string
		} `cmd:""`
		Serve command `cmd:""`
	}
	k, err := kong.New(&cli, kong.Exit(func(int) { t.Fatal("exit") }))
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.Parse(append([]string{"serve"}, args...))
	return cli.Serve, err
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "skein.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedence(t *testing.T) {
	full := "name: from-file\nthreads: 3\ns3: [a, 'b,c']\nfast: true\n"
	cases := []struct {
		name string
		file string
		env  map[string]string
		args []string
		want command
	}{
		{"nothing", "", nil, nil, command{Name: "from-default"}},
		{"file", full, nil, nil, command{Name: "from-file", Threads: 3, S3: []string{"a", "b,c"}, Fast: true}},
		{"env beats file", full, map[string]string{"SKEIN_TEST_NAME": "from-env", "SKEIN_TEST_S3": "x"}, nil,
			command{Name: "from-env", Threads: 3, S3: []string{"x"}, Fast: true}},
		{"flag beats env", full, map[string]string{"SKEIN_TEST_NAME": "from-env", "SKEIN_TEST_THREADS": "4"}, []string{"--name=from-flag", "--s3=y"},
			command{Name: "from-flag", Threads: 4, S3: []string{"y"}, Fast: true}},
		{"no value", "name:\nthreads: ~\n", nil, nil, command{Name: "from-default"}},
		{"one value of a list", "s3: http://a\n", nil, nil, command{Name: "from-default", S3: []string{"http://a"}}},
		{"written as it is", "name: 007\n", nil, nil, command{Name: "007"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			path := write(t, c.file)
			got, err := parse(t, append([]string{"--config", path}, c.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			c.want.Config = path
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestConfigFromEnvironment(t *testing.T) {
	t.Setenv("SKEIN_TEST_CONFIG", write(t, "threads: 5"))
	got, err := parse(t)
	if err != nil || got.Threads != 5 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestBadFiles(t *testing.T) {
	cases := []struct{ name, file, want string }{
		{"unknown key", "nmae: x", `unknown key "nmae"; keys are fast, name, s3, threads`},
		{"config in config", "config: x", `unknown key "config"`},
		{"nested", "name: {a: 1}", "line 1: name: must be a value"},
		{"list of lists", "s3: [[a]]", "plain values"},
		{"list for one", "name: [a, b]", "takes one value, not a list"},
		{"wrong type", "threads: many", "threads"},
		{"twice", "name: a\nname: b", "already defined"},
		{"not yaml", "name: [", "yaml"},
		{"not a map", "- name", "cannot unmarshal"},
		{"huge", strings.Repeat("#", fileBytesMax+1), "larger than"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, c.file)
			_, err := parse(t, "--config", path)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
		})
	}
	if _, err := parse(t, "--config", "/nowhere/x.yaml"); err == nil || !strings.Contains(err.Error(), "/nowhere/x.yaml: no such file") {
		t.Errorf("got %v", err)
	}
}
