package auth

import "net/http"

// Challenge is the WWW-Authenticate header of a 401.
const Challenge = `Basic realm="skein", charset="UTF-8"`

// Middleware finds out who calls and puts them into the request's context;
// what they may do is asked later, by Require or Allow. Wrong credentials go
// to refuse, which answers. Without credentials the caller is nobody.
func (a *Auth) Middleware(next http.Handler, refuse func(http.ResponseWriter, *http.Request, error)) http.Handler {
	if a == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := a.identify(nil, r.Header.Values("Authorization"))
		if err != nil {
			refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(With(r.Context(), p)))
	})
}

// Allow tells whether the caller of r may do what the RPC does, by nil or
// Unauthenticated or PermissionDenied.
func Allow(r *http.Request, method string) error {
	role, err := roleOf(method)
	if err != nil {
		return err
	}
	return Require(r.Context(), role)
}
