package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"skein/cmd/skein/internal/client"
)

// connectFlags say which server to use, and as whom.
type connectFlags struct {
	Addr         string `help:"The server's gRPC address, host:port." default:"127.0.0.1:8815" env:"SKEIN_ADDR" placeholder:"HOST:PORT" group:"Connection:"`
	User         string `help:"User name, with a password." env:"SKEIN_USER" placeholder:"NAME" group:"Connection:"`
	Password     string `help:"Password. Other users of this machine can see a command line: prefer the environment or --password-file." env:"SKEIN_PASSWORD" placeholder:"TEXT" group:"Connection:"`
	PasswordFile string `help:"File that holds the password." env:"SKEIN_PASSWORD_FILE" placeholder:"FILE" group:"Connection:"`
	Token        string `help:"Bearer token, in place of a user." env:"SKEIN_TOKEN" placeholder:"TEXT" group:"Connection:"`
	TLS          bool   `name:"tls" help:"Use TLS." env:"SKEIN_TLS" group:"Connection:"`
	TLSCA        string `name:"tls-ca" help:"PEM file of the authority that signed the server's certificate; the system's if not given. Turns TLS on." env:"SKEIN_TLS_CA" placeholder:"FILE" group:"Connection:"`
}

// Validate is called by kong.
func (f *connectFlags) Validate() error {
	switch {
	case f.Token != "" && f.User != "":
		return errors.New("--token and --user exclude each other")
	case f.User == "" && (f.Password != "" || f.PasswordFile != "") && f.Token == "":
		return errors.New("a password needs --user")
	case f.Password != "" && f.PasswordFile != "":
		return errors.New("--password and --password-file exclude each other")
	}
	return nil
}

func (f *connectFlags) dial() (*client.Client, error) {
	password := f.Password
	if f.PasswordFile != "" {
		text, err := secretFile(f.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("--password-file: %w", err)
		}
		password = text
	}
	return client.Dial(client.Options{
		Addr: f.Addr, User: f.User, Password: password, Token: f.Token, TLS: f.TLS, CAFile: f.TLSCA,
	})
}

// use calls do with a client, until Ctrl-C.
func (f *connectFlags) use(do func(context.Context, *client.Client) error) error {
	cl, err := f.dial()
	if err != nil {
		return usageError{err}
	}
	defer cl.Close()
	ctx, stop := interruptible()
	defer stop()
	return do(ctx, cl)
}

// secretFile reads a secret; the line end that editors add is not part of it.
func secretFile(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}
