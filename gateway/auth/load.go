package auth

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/bcrypt"
)

const (
	fileBytesMax     = 1 << 20
	checksAtOnce     = 4 // bcrypt is meant to be slow
	clusterSecretMin = 16
)

type file struct {
	Users         []fileUser  `yaml:"users"`
	Tokens        []fileToken `yaml:"tokens"`
	ClusterSecret string      `yaml:"cluster_secret"`
}

type fileUser struct {
	Name           string `yaml:"name"`
	PasswordBcrypt string `yaml:"password_bcrypt"`
	Password       string `yaml:"password"`
	Role           string `yaml:"role"`
}

type fileToken struct {
	Name        string `yaml:"name"`
	TokenSHA256 string `yaml:"token_sha256"`
	Token       string `yaml:"token"`
	Role        string `yaml:"role"`
}

// Load reads users, tokens and the cluster secret:
//
//	users:
//	  - {name: ann, password_bcrypt: "$2a$10$…", role: admin}
//	tokens:
//	  - {name: collector, token_sha256: "9f86d0…", role: write}
//	cluster_secret: the same long text on every node
//
// Instead of password_bcrypt and token_sha256 the file may hold password and
// token in clear, for a laptop. Errors never repeat a secret.
func Load(path string) (*Auth, error) {
	data, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("auth file: %w", err)
	}
	a, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("auth file %s: %w", path, err)
	}
	return a, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1))
	if err == nil && len(data) > fileBytesMax {
		err = fmt.Errorf("%s is larger than %d bytes", path, fileBytesMax)
	}
	return data, err
}

func parse(data []byte) (*Auth, error) {
	var f file
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, redact(err)
	}
	if len(f.Users)+len(f.Tokens) == 0 {
		return nil, errors.New("it has neither users nor tokens, so nobody could come in; add one")
	}
	a := &Auth{users: map[string]user{}, now: time.Now, checks: make(chan struct{}, checksAtOnce), passed: map[[sha256.Size]byte]time.Time{}}
	for i, u := range f.Users {
		if err := a.addUser(u); err != nil {
			return nil, fmt.Errorf("user %d %q: %w", i+1, u.Name, err)
		}
	}
	for i, t := range f.Tokens {
		if err := a.addToken(t); err != nil {
			return nil, fmt.Errorf("token %d %q: %w", i+1, t.Name, err)
		}
	}
	return a, a.setSecret(f.ClusterSecret)
}

// redact takes the values out of a YAML error.
func redact(err error) error {
	return errors.New(regexp.MustCompile("`[^`]*`").ReplaceAllString(err.Error(), "a value"))
}

func (a *Auth) addUser(u fileUser) error {
	role, err := userRole(u.Role)
	switch {
	case u.Name == "" || len(u.Name) > credentialBytesMax:
		return fmt.Errorf("the name must have 1 to %d bytes", credentialBytesMax)
	case err != nil:
		return err
	case (u.Password == "") == (u.PasswordBcrypt == ""):
		return errors.New("give exactly one of password_bcrypt and password")
	}
	if _, twice := a.users[u.Name]; twice {
		return errors.New("it is there twice")
	}
	entry := user{role: role, bcrypt: []byte(u.PasswordBcrypt)}
	if u.Password != "" {
		entry.plain, entry.isPlain = sha256.Sum256([]byte(u.Password)), true
	} else if _, err := bcrypt.Cost(entry.bcrypt); err != nil {
		return errors.New("password_bcrypt is not a bcrypt hash; make one with htpasswd -nB")
	}
	a.users[u.Name] = entry
	return nil
}

func (a *Auth) addToken(t fileToken) error {
	role, err := userRole(t.Role)
	switch {
	case t.Name == "":
		return errors.New("the name is missing")
	case err != nil:
		return err
	case (t.Token == "") == (t.TokenSHA256 == ""):
		return errors.New("give exactly one of token_sha256 and token")
	}
	entry := token{Principal: Principal{t.Name, role}, hash: sha256.Sum256([]byte(t.Token))}
	if t.TokenSHA256 != "" {
		sum, err := hex.DecodeString(t.TokenSHA256)
		if err != nil || len(sum) != sha256.Size {
			return errors.New("token_sha256 must have 64 hex digits; make it with sha256sum")
		}
		copy(entry.hash[:], sum)
	}
	a.tokens = append(a.tokens, entry)
	return nil
}

// setSecret keeps the cluster secret and derives the key of session tokens.
// Without a secret the key is random: tokens are good on this node alone,
// until it stops.
func (a *Auth) setSecret(secret string) error {
	if secret != "" && len(secret) < clusterSecretMin {
		return fmt.Errorf("cluster_secret is too short, use at least %d characters", clusterSecretMin)
	}
	if secret == "" {
		a.sessionKey = derive([]byte(rand.Text()), "session")
		return nil
	}
	a.clusterSecret = secret
	a.clusterHash = sha256.Sum256([]byte(secret))
	a.sessionKey = derive([]byte(secret), "session")
	return nil
}
