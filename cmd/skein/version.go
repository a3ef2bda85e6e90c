package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"skein/internal/duck"
	"skein/internal/render"
)

// version is set by the linker: -X main.version=1.2.3.
var version = ""

type versionCmd struct{}

// Run is called by kong.
func (versionCmd) Run(t *terminal) error {
	ctx, stop := interruptible()
	defer stop()
	engine, err := duckVersion(ctx)
	if err != nil {
		return err
	}
	name, commit := build()
	_, err = fmt.Fprintf(t.out, "skein %s\ncommit %s\n%s %s/%s\nduckdb %s\n",
		name, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH, engine)
	return err
}

func duckVersion(ctx context.Context) (string, error) {
	db, err := duck.Open(duck.Options{Threads: 1})
	if err != nil {
		return "", err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	rows, err := conn.Query(ctx, "SELECT version()")
	if err != nil {
		return "", err
	}
	defer rows.Close()
	b, err := rows.Next(ctx)
	if err != nil {
		return "", err
	}
	return string(render.AppendText(nil, b.Column(0), 0)), nil
}

// build tells the version and commit that this binary was made from.
func build() (name, commit string) {
	name, commit = version, "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return name, commit
	}
	if name == "" {
		name = info.Main.Version
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			commit += " (modified)"
		}
	}
	return name, commit
}
