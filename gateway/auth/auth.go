package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"skein/internal/fault"
)

const (
	credentialBytesMax = 1024 // of a name, a password or a token
	passedMax          = 1024 // passwords remembered as right
	passedFor          = time.Minute
)

var (
	errNoCredentials  = fault.New(fault.Unauthenticated, "credentials are missing: send a user name and password, or a bearer token")
	errBadCredentials = fault.New(fault.Unauthenticated, "wrong user name, password or token")
	errBadSecret      = fault.New(fault.Unauthenticated, "wrong cluster secret: every node needs the same cluster_secret in its auth file")
)

// Auth knows the users, the tokens and the cluster secret. It may be used
// from many goroutines. Make it with Load.
type Auth struct {
	users         map[string]user
	tokens        []token
	clusterSecret string // empty if this node takes no calls of other nodes
	clusterHash   [sha256.Size]byte
	sessionKey    []byte
	now           func() time.Time

	checks chan struct{} // one place for each bcrypt check that may run
	mu     sync.Mutex
	passed map[[sha256.Size]byte]time.Time // keyed hash of name and password, until when
}

type user struct {
	role    Role
	bcrypt  []byte
	plain   [sha256.Size]byte // of the password, if isPlain
	isPlain bool
}

type token struct {
	Principal
	hash [sha256.Size]byte
}

// Basic checks a user's password.
func (a *Auth) Basic(name, password string) (Principal, error) {
	if len(name) > credentialBytesMax || len(password) > credentialBytesMax {
		return Principal{}, errBadCredentials
	}
	u, known := a.users[name]
	if known && u.isPlain {
		sum := sha256.Sum256([]byte(password))
		known = subtle.ConstantTimeCompare(sum[:], u.plain[:]) == 1
	} else {
		known = a.checkBcrypt(name, password, u.bcrypt) && known
	}
	if !known {
		return Principal{}, errBadCredentials
	}
	return Principal{name, u.role}, nil
}

// unknownUser is compared with when there is no such user, so that the time
// of the answer does not tell.
const unknownUser = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"

// checkBcrypt compares slowly, but remembers a right password for a while, as
// a keyed hash: clients send it with every request.
func (a *Auth) checkBcrypt(name, password string, hash []byte) bool {
	if hash == nil {
		hash = []byte(unknownUser)
	}
	key := [sha256.Size]byte(derive(a.sessionKey, "password", name, password, string(hash)))
	if a.remembers(key) {
		return true
	}
	a.checks <- struct{}{}
	defer func() { <-a.checks }()
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil {
		return false
	}
	a.remember(key)
	return true
}

func (a *Auth) remembers(key [sha256.Size]byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now().Before(a.passed[key])
}

func (a *Auth) remember(key [sha256.Size]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.passed) >= passedMax {
		clear(a.passed)
	}
	a.passed[key] = a.now().Add(passedFor)
}

// Bearer checks a token of the file or one that Issue made.
func (a *Auth) Bearer(text string) (Principal, error) {
	if len(text) > credentialBytesMax {
		return Principal{}, errBadCredentials
	}
	if strings.HasPrefix(text, sessionPrefix) {
		return a.session(text)
	}
	sum := sha256.Sum256([]byte(text))
	found := -1
	for i := range a.tokens {
		if subtle.ConstantTimeCompare(sum[:], a.tokens[i].hash[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return Principal{}, errBadCredentials
	}
	return a.tokens[found].Principal, nil
}

// Cluster checks the secret that another node shows.
func (a *Auth) Cluster(secret string) (Principal, error) {
	sum := sha256.Sum256([]byte(secret))
	if a.clusterSecret == "" || subtle.ConstantTimeCompare(sum[:], a.clusterHash[:]) != 1 {
		return Principal{}, errBadSecret
	}
	return Principal{"cluster", Node}, nil
}

// authorization checks the value of an Authorization header.
func (a *Auth) authorization(header string) (Principal, error) {
	scheme, rest, _ := strings.Cut(header, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case strings.EqualFold(scheme, "Basic"):
		return a.basicHeader(rest)
	case strings.EqualFold(scheme, "Bearer"):
		return a.Bearer(rest)
	}
	return Principal{}, fault.New(fault.Unauthenticated, "the Authorization header must be Basic or Bearer")
}

func (a *Auth) basicHeader(text string) (Principal, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		data, err = base64.RawStdEncoding.DecodeString(text)
	}
	name, password, ok := strings.Cut(string(data), ":")
	if err != nil || !ok {
		return Principal{}, fault.New(fault.Unauthenticated, "the Basic credentials are not base64 of name:password")
	}
	return a.Basic(name, password)
}

// derive makes a 32 byte key or tag for one purpose.
func derive(key []byte, purpose string, parts ...string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("skein " + purpose))
	for _, p := range parts {
		sum := sha256.Sum256([]byte(p))
		mac.Write(sum[:])
	}
	return mac.Sum(nil)
}
