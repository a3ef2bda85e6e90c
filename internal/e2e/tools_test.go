package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const (
	pythonEnv  = "SKEIN_TEST_PYTHON"
	tpchgenEnv = "SKEIN_TEST_TPCHGEN"
	jarEnv     = "SKEIN_TEST_JDBC_JAR"

	javaHint = "install a JDK, for example: apt-get install -y openjdk-17-jdk-headless"

	toolTimeout = 4 * time.Minute
)

// tool is a program that must be there.
func tool(t testing.TB, name, hint string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s: %v; %s", name, err, hint)
	}
	return path
}

// python is the interpreter with the client libraries.
func python(t testing.TB) string {
	t.Helper()
	name := os.Getenv(pythonEnv)
	if name == "" {
		name = "python3"
	}
	path := tool(t, name, "name a Python in "+pythonEnv)
	check := exec.Command(path, "-c", "import adbc_driver_flightsql, adbc_driver_manager, pyarrow, duckdb; assert duckdb.__version__ == '1.5.6', duckdb.__version__")
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("%s lacks what the tests need: %s\nname a Python in %s with: pip install adbc-driver-flightsql adbc-driver-manager pyarrow duckdb==1.5.6 tpchgen-cli",
			path, out, pythonEnv)
	}
	return path
}

// tpchgen is the TPC-H generator.
func tpchgen(t testing.TB) string {
	t.Helper()
	const hint = "pip install tpchgen-cli, or name it in " + tpchgenEnv
	if name := os.Getenv(tpchgenEnv); name != "" {
		return tool(t, name, hint)
	}
	beside := filepath.Join(filepath.Dir(python(t)), "tpchgen-cli")
	if _, err := os.Stat(beside); err == nil {
		return beside
	}
	return tool(t, "tpchgen-cli", hint)
}

// jdbcJar is the Flight SQL JDBC driver.
func jdbcJar(t testing.TB) string {
	t.Helper()
	const hint = "it is org.apache.arrow:flight-sql-jdbc-driver:18.3.0 of Maven Central"
	path := os.Getenv(jarEnv)
	if path == "" {
		t.Fatalf("%s is not set: name the jar of the Flight SQL JDBC driver; %s", jarEnv, hint)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s: %v; %s", jarEnv, err, hint)
	}
	return path
}

// output of a program that ran to its end.
type output struct {
	Stdout, Stderr string
	Exit           int
}

// execute runs a program with further environment variables.
func execute(t testing.TB, env []string, stdin []byte, argv ...string) output {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), toolTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(cleanEnv(), env...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	ownGroup(cmd)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%v: %v\n%s%s", argv, errors.Join(err, ctx.Err()), out.String(), errOut.String())
	}
	return output{out.String(), errOut.String(), cmd.ProcessState.ExitCode()}
}

// must runs a program that must end well, and returns its standard output.
func must(t testing.TB, argv ...string) string {
	t.Helper()
	o := execute(t, nil, nil, argv...)
	if o.Exit != 0 {
		t.Fatalf("%v: exit %d\n%s\n%s", argv, o.Exit, o.Stdout, o.Stderr)
	}
	return o.Stdout
}

// script runs a Python script of testdata, which must end well.
func script(t testing.TB, name string, args ...string) string {
	t.Helper()
	return must(t, append([]string{python(t), "-B", filepath.Join("testdata", name)}, args...)...)
}

// load runs skein load against a node, and wants it to end well.
func (n *node) load(t testing.TB, table string, args ...string) string {
	t.Helper()
	return must(t, append([]string{binary(t), "load", "--addr", n.GRPC, "--table", table}, args...)...)
}
