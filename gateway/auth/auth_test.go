package auth

import (
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"skein/internal/fault"
)

const secret = "a long secret of the cluster"

func mustParse(t *testing.T, text string) *Auth {
	t.Helper()
	a, err := parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func sample(t *testing.T) *Auth {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("hashed"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return mustParse(t, `
users:
  - {name: ann, password_bcrypt: "`+string(hash)+`", role: admin}
  - {name: ray, password: plain, role: read}
tokens:
  - {name: collector, token: secret-token, role: write}
  - {name: hashed, token_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, role: read}
cluster_secret: `+secret+`
`)
}

func TestBasic(t *testing.T) {
	a := sample(t)
	for _, tc := range []struct {
		name, password string
		want           Role
	}{
		{"ann", "hashed", Admin}, {"ann", "hashed", Admin}, // the second time from memory
		{"ann", "plain", None}, {"ann", "", None}, {"ann", "hashed ", None},
		{"ray", "plain", Read}, {"ray", "hashed", None}, {"ray", "", None},
		{"bob", "hashed", None}, {"", "", None},
		{"ann", strings.Repeat("x", 2000), None},
	} {
		p, err := a.Basic(tc.name, tc.password)
		if p.Role != tc.want || (err == nil) != (tc.want != None) {
			t.Errorf("%s/%.20s: %v %v", tc.name, tc.password, p, err)
		}
		if err != nil && fault.CodeOf(err) != fault.Unauthenticated {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if len(a.passed) != 1 {
		t.Errorf("%d passwords remembered", len(a.passed))
	}
}

func TestUnknownUserIsNotTheDummy(t *testing.T) {
	a := sample(t)
	if _, err := bcrypt.Cost([]byte(unknownUser)); err != nil {
		t.Fatalf("the dummy is no hash: %v", err)
	}
	// The test vector behind the dummy hash.
	if _, err := a.Basic("bob", "allmine"); err == nil {
		t.Error("an unknown user came in")
	}
}

func TestPasswordIsForgotten(t *testing.T) {
	a := sample(t)
	now := time.Unix(1e9, 0)
	a.now = func() time.Time { return now }
	if _, err := a.Basic("ann", "hashed"); err != nil {
		t.Fatal(err)
	}
	u := a.users["ann"]
	u.bcrypt = []byte(unknownUser)
	a.users["ann"] = u
	if _, err := a.Basic("ann", "hashed"); err == nil {
		t.Error("the old password passes for a new hash")
	}
	for i := range passedMax + 10 {
		a.remember([32]byte{byte(i), byte(i >> 8)})
	}
	if len(a.passed) > passedMax {
		t.Errorf("%d passwords remembered", len(a.passed))
	}
	now = now.Add(passedFor)
	if a.remembers([32]byte{1}) {
		t.Error("remembered for too long")
	}
}

func TestBearer(t *testing.T) {
	a := sample(t)
	for token, want := range map[string]Principal{
		"secret-token": {"collector", Write}, "test": {"hashed", Read},
		"secret-tokem": {}, "": {}, "skein1.": {}, "skein1.x.y": {}, "skein1..": {},
	} {
		p, err := a.Bearer(token)
		if p != want || (err == nil) != (want.Role != None) {
			t.Errorf("%q: %v %v", token, p, err)
		}
	}
}

func TestSessionTokens(t *testing.T) {
	a, other, stranger := sample(t), sample(t), mustParse(t, "users: [{name: ann, password: x, role: admin}]")
	now := time.Unix(1e9, 0)
	for _, x := range []*Auth{a, other, stranger} {
		x.now = func() time.Time { return now }
	}
	token := a.Issue(Principal{"ann", Admin})
	if p, err := other.Bearer(token); err != nil || p != (Principal{"ann", Admin}) {
		t.Errorf("on another node: %v %v", p, err)
	}
	if _, err := stranger.Bearer(token); err == nil {
		t.Error("good without the cluster's secret")
	}
	if _, err := a.Bearer(token[:len(token)-2] + "AA"); err == nil {
		t.Error("good with another signature")
	}
	head, tag, _ := strings.Cut(strings.TrimPrefix(token, sessionPrefix), ".")
	body, _ := base64.RawURLEncoding.DecodeString(head)
	forged := strings.Replace(string(body), "ann", "eve", 1)
	if _, err := a.Bearer(sessionPrefix + base64.RawURLEncoding.EncodeToString([]byte(forged)) + "." + tag); err == nil {
		t.Error("good with another name")
	}
	if p, err := a.Bearer(a.Issue(Principal{"ray", Admin})); err != nil || p.Role != Read {
		t.Errorf("more than the file gives: %v %v", p, err)
	}
	if p, err := a.Bearer(a.Issue(Principal{"collector", Write})); err != nil || p.Role != Write {
		t.Errorf("of a token: %v %v", p, err)
	}
	if _, err := a.Bearer(a.Issue(Principal{"gone", Admin})); err == nil {
		t.Error("good for a user who is gone")
	}
	now = now.Add(sessionFor)
	if _, err := a.Bearer(token); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("after its time: %v", err)
	}
}

func TestSessionWithoutClusterSecret(t *testing.T) {
	a := mustParse(t, "users: [{name: ann, password: x, role: admin}]")
	if p, err := a.Bearer(a.Issue(Principal{"ann", Admin})); err != nil || p.Name != "ann" {
		t.Errorf("%v %v", p, err)
	}
	if _, err := a.Cluster(""); err == nil {
		t.Error("an empty cluster secret passes")
	}
}

func TestRequire(t *testing.T) {
	if err := Require(context.Background(), Admin); err != nil {
		t.Errorf("an open server: %v", err)
	}
	for have := None; have <= Node; have++ {
		for need := Read; need <= Node; need++ {
			err := Require(With(context.Background(), Principal{"x", have}), need)
			want := fault.PermissionDenied
			if have == None {
				want = fault.Unauthenticated
			}
			if have >= need && err != nil || have < need && (err == nil || fault.CodeOf(err) != want) {
				t.Errorf("%v needs %v: %v", have, need, err)
			}
		}
	}
}

func TestBadFiles(t *testing.T) {
	for name, tc := range map[string]struct{ text, says string }{
		"empty":           {"", "nobody could come in"},
		"unknown field":   {"users: [{name: a, passwrd: hunter2, role: read}]", "passwrd"},
		"wrong type":      {"users: hunter2", "cannot unmarshal"},
		"no YAML":         {"users: [", "yaml"},
		"no name":         {"users: [{password: hunter2, role: read}]", "name"},
		"no role":         {"users: [{name: a, password: hunter2}]", "use read, write or admin"},
		"role node":       {"users: [{name: a, password: hunter2, role: node}]", "use read, write or admin"},
		"role none":       {"users: [{name: a, password: hunter2, role: none}]", "use read, write or admin"},
		"no password":     {"users: [{name: a, role: read}]", "exactly one"},
		"two passwords":   {"users: [{name: a, password: hunter2, password_bcrypt: hunter2, role: read}]", "exactly one"},
		"no bcrypt":       {"users: [{name: a, password_bcrypt: hunter2, role: read}]", "bcrypt"},
		"twice":           {"users: [{name: a, password: hunter2, role: read}, {name: a, password: hunter2, role: read}]", "twice"},
		"token no hash":   {"tokens: [{name: a, token_sha256: hunter2, role: read}]", "64 hex digits"},
		"token no name":   {"tokens: [{token: hunter2, role: read}]", "name"},
		"token both":      {"tokens: [{name: a, token: hunter2, token_sha256: hunter2, role: read}]", "exactly one"},
		"token bad role":  {"tokens: [{name: a, token: hunter2, role: root}]", "root"},
		"short secret":    {"users: [{name: a, password: hunter2, role: read}]\ncluster_secret: hunter2", "too short"},
		"secret is a map": {"users: [{name: a, password: hunter2, role: read}]\ncluster_secret: [hunter2]", "cannot unmarshal"},
	} {
		path := filepath.Join(t.TempDir(), "auth.yaml")
		if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "nothing")); err == nil {
		t.Error("a missing file is no error")
	}
}
