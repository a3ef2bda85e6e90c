package auth

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"skein/internal/fault"
)

const (
	sessionPrefix = "skein1."
	sessionFor    = 24 * time.Hour
)

var errSessionOver = fault.New(fault.Unauthenticated, "the session token has expired: connect again")

type session struct {
	Name    string `json:"n"`
	Role    Role   `json:"r"`
	Expires int64  `json:"e"` // seconds since 1970
}

// Issue makes a token that Bearer accepts for a day, here and on every node
// with the same cluster secret.
func (a *Auth) Issue(p Principal) string {
	body, err := json.Marshal(session{p.Name, min(p.Role, Admin), a.now().Add(sessionFor).Unix()})
	if err != nil {
		panic("BUG: session: " + err.Error())
	}
	text := base64.RawURLEncoding.EncodeToString(body)
	return sessionPrefix + text + "." + base64.RawURLEncoding.EncodeToString(derive(a.sessionKey, "token", text))
}

// session checks a token of Issue. The file has the last word: who is no
// longer there is out, and nobody gets more than their role of today.
func (a *Auth) session(tokenText string) (Principal, error) {
	text, tagText, _ := strings.Cut(strings.TrimPrefix(tokenText, sessionPrefix), ".")
	tag, err := base64.RawURLEncoding.DecodeString(tagText)
	if err != nil || subtle.ConstantTimeCompare(tag, derive(a.sessionKey, "token", text)) != 1 {
		return Principal{}, errBadCredentials
	}
	var s session
	body, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(body, &s) != nil {
		return Principal{}, errBadCredentials
	}
	if a.now().Unix() >= s.Expires {
		return Principal{}, errSessionOver
	}
	role := min(s.Role, a.roleToday(s.Name))
	if role == None {
		return Principal{}, errBadCredentials
	}
	return Principal{s.Name, role}, nil
}

// roleToday is the role of a user or token in the file; None if it is gone.
func (a *Auth) roleToday(name string) Role {
	role := a.users[name].role
	for _, t := range a.tokens {
		if t.Name == name {
			role = max(role, t.Role)
		}
	}
	return role
}
