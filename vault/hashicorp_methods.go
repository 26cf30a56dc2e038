package vault

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// hashicorpMethod is a way to log in.
type hashicorpMethod struct {
	mount string   // its usual path
	needs []string // keys of config.yaml
	takes []string // further ones
	todo  string   // when the login is refused
}

const giveAnew = `with "keytender secret set store/NAME"`

var hashicorpMethods = map[string]hashicorpMethod{
	"approle": {"approle", []string{"login.role_id"}, []string{"login.mount", "login.wrapped"},
		"check role_id and mount, and give a new secret id " + giveAnew},
	"certificate": {"cert", nil, []string{"login.mount", "login.role", "login.certificate"},
		"check that the login's role trusts the certificate, and that mount and role are right"},
	"userpass": {"userpass", []string{"login.username"}, []string{"login.mount"},
		"check username and mount, and give the password " + giveAnew},
	"ldap": {"ldap", []string{"login.username"}, []string{"login.mount"},
		"check username and mount, and give the password " + giveAnew},
	"token": {"", nil, nil,
		"give a new token " + giveAnew + "; it needs the policy default, or read on auth/token/lookup-self"},
	"jwt": {"jwt", []string{"login.token_file"}, []string{"login.mount", "login.role"},
		"check role and mount, and that the token file is kept fresh"},
}

func checkHashiCorpLogin(c Config) error {
	l := c.Login
	method, known := hashicorpMethods[l.Method]
	if !known {
		return wrong("login.method", "%q: there are %s", l.Method, strings.Join(slices.Sorted(maps.Keys(hashicorpMethods)), ", "))
	}
	keys := slices.Concat([]string{"write", "namespace", "engine", "fields", "login.method"}, method.needs, method.takes)
	if err := errors.Join(c.only(keys...), c.needs(method.needs...)); err != nil {
		return err
	}
	if l.Mount != "" && checkSharedName(l.Mount) != nil || strings.HasPrefix(l.Mount, "auth/") {
		return wrong("login.mount", `%q: write the path below "auth/", such as %s`, l.Mount, method.mount)
	}
	if l.Username != "" && (checkSharedSegment(l.Username) != nil || strings.Contains(l.Username, "/")) {
		return wrong("login.username", "%q cannot be one", l.Username)
	}
	return nil
}

// logIn asks the server for a token, or about the one that was given.
func (h *hashicorp) logIn(ctx context.Context) (*standing, error) {
	proof, err := h.proof(ctx)
	if err != nil {
		return nil, err
	}
	var certificate *tls.Certificate
	if h.login.Method == "certificate" {
		if certificate, err = h.pair(proof); err != nil {
			return nil, err
		}
	}
	way, err := h.way(certificate)
	if err != nil {
		return nil, err
	}
	if h.login.Method == "token" {
		return h.given(ctx, way, proof)
	}
	c, err := h.as(way, Secret{})
	if err != nil {
		return nil, err
	}
	path, body := h.words(proof)
	answer, err := c.Logical().WriteWithContext(ctx, path, body)
	switch {
	case err != nil:
		return nil, h.notIn(ctx, path, err)
	case answer == nil || answer.Auth == nil:
		return nil, h.foreign("log in", http.StatusOK)
	case answer.Auth.MFARequirement != nil:
		return nil, h.refusal("log in", ErrLogin, "it asks for a second factor, which an agent does not have", "have the login freed of it")
	case answer.Auth.ClientToken == "":
		return nil, h.foreign("log in", http.StatusOK)
	}
	c.SetToken(answer.Auth.ClientToken)
	return &standing{client: c, ours: true, life: time.Duration(answer.Auth.LeaseDuration) * time.Second, renews: answer.Auth.Renewable}, nil
}

// proof is what the login is made with.
func (h *hashicorp) proof(ctx context.Context) (Secret, error) {
	if h.login.Method == "jwt" {
		return h.tokenFile(h.login.TokenFile)
	}
	proof, err := h.credential(ctx)
	if h.login.Method == "approle" || h.login.Method == "token" { // no space can belong to them
		proof = NewSecret(strings.TrimSpace(proof.Reveal()))
	}
	return proof, err
}

// words is what the login says, and to whom.
func (h *hashicorp) words(proof Secret) (path string, body map[string]any) {
	path = "auth/" + h.authMount() + "/login"
	switch h.login.Method {
	case "approle":
		return path, map[string]any{"role_id": h.login.RoleID, "secret_id": proof.Reveal()}
	case "userpass", "ldap":
		return path + "/" + h.login.Username, map[string]any{"password": proof.Reveal()}
	case "jwt":
		body = map[string]any{"jwt": proof.Reveal()}
		if h.login.Role != "" { // else the server's default
			body["role"] = h.login.Role
		}
		return path, body
	}
	body = map[string]any{} // a certificate speaks for itself
	if h.login.Role != "" {
		body["name"] = h.login.Role
	}
	return path, body
}

// given asks about a token that was given to the agent.
func (h *hashicorp) given(ctx context.Context, way *http.Client, token Secret) (*standing, error) {
	if !printable(token) {
		return nil, h.refusal("log in", ErrLogin, "what was given is no token", hashicorpMethods["token"].todo)
	}
	c, err := h.as(way, token)
	if err != nil {
		return nil, err
	}
	about, err := c.Auth().Token().LookupSelfWithContext(ctx)
	if err != nil {
		return nil, h.notIn(ctx, "auth/token/lookup-self", err)
	}
	if about == nil {
		return nil, h.foreign("log in", http.StatusOK)
	}
	life, err := about.TokenTTL()
	renews, unsure := about.TokenIsRenewable()
	if err != nil || unsure != nil {
		return nil, h.foreign("log in", http.StatusOK)
	}
	return &standing{client: c, life: life, renews: renews}, nil
}

// notIn is the error for a login that was not answered with a token.
func (h *hashicorp) notIn(ctx context.Context, path string, err error) error {
	switch code := status(err); code {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return h.refusal("log in", ErrLogin, fmt.Sprintf("%s answered %d", path, code), hashicorpMethods[h.login.Method].todo)
	}
	return h.told(ctx, request{op: "log in"}, err)
}

// way is the link's client, with its errors told.
func (h *hashicorp) way(certificate *tls.Certificate) (*http.Client, error) {
	c, err := h.link.client(certificate)
	if err != nil { // about the files of ca:
		return nil, &Error{Store: h.String(), Op: "log in", Kind: ErrUnavailable, Err: err, Todo: "check ca: at the store"}
	}
	return c, nil
}

// authMount is where the method answers, below "auth/".
func (h *hashicorp) authMount() string {
	return cmp.Or(h.login.Mount, hashicorpMethods[h.login.Method].mount)
}
