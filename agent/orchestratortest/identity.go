package orchestratortest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// tokenPath is the token endpoint's path; the discovery document's is discoveryPath.
const (
	tokenPath     = "/identity_/connect/token"
	discoveryPath = "/identity_/.well-known/openid-configuration"
	jwksPath      = discoveryPath + "/jwks"
)

func (s *Server) discovery(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusOK, map[string]any{
		"issuer":                                s.Identity,
		"jwks_uri":                              s.Origin + jwksPath,
		"token_endpoint":                        s.Origin + tokenPath,
		"grant_types_supported":                 []string{"client_credentials"},
		"response_types_supported":              []string{"token"},
		"subject_types_supported":               []string{"public"},
		"scopes_supported":                      []string{machineScope, "OR.Default", "OR.Folders", "OR.Jobs", "OR.Machines", "OR.Queues", "OR.Users", "PM.OAuthApp"},
		"id_token_signing_alg_values_supported": []string{"ES256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
	})
}

func (s *Server) jwks(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusOK, s.keys.jwks())
}

// token is RFC 6749 §4.4: client credentials, authenticated by form or Basic.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil || r.URL.RawQuery != "" {
		refuse(w, "invalid_request")
		return
	}
	c := s.authenticate(credentials(r))
	if c == nil {
		refuse(w, "invalid_client")
		return
	}
	if r.PostForm.Get("grant_type") != "client_credentials" {
		refuse(w, "unsupported_grant_type")
		return
	}
	scopes, ok := c.granted(strings.Fields(r.PostForm.Get("scope")))
	if !ok {
		refuse(w, "invalid_scope")
		return
	}
	reply(w, http.StatusOK, s.issue(c, scopes))
}

// Token issues a token with everything that the client may have, without the
// token endpoint: for tests of what happens afterwards. It panics if there is no
// such client.
func (s *Server) Token(clientID string) string {
	s.mu.Lock()
	c := s.clients[clientID]
	s.mu.Unlock()
	if c == nil {
		panic("orchestratortest: no client " + clientID)
	}
	scopes, _ := c.granted(nil)
	return s.issue(c, scopes)["access_token"].(string)
}

func (s *Server) issue(c *client, scopes []string) map[string]any {
	now := s.now()
	s.mu.Lock()
	lifetime := s.lifetime
	s.mu.Unlock()
	return map[string]any{
		"access_token": s.keys.sign(claims{
			Issuer: s.Identity, Audience: []string{"UiPath.Orchestrator"}, Subject: c.id, ClientID: c.id,
			Partition: s.Partition, Scope: scopes, ID: newGUID(),
			NotBefore: now.Unix(), IssuedAt: now.Unix(), Expires: now.Add(lifetime).Unix(),
		}),
		"expires_in": int64(lifetime.Seconds()),
		"token_type": "Bearer",
		"scope":      strings.Join(scopes, " "),
	}
}

// credentials reads the client's id and secret as RFC 6749 §2.3.1 lets it send
// them. Under Basic both are form-encoded first.
func credentials(r *http.Request) (id, secret string) {
	user, password, basic := r.BasicAuth()
	if !basic {
		return r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	id, err := url.QueryUnescape(user)
	if err != nil {
		return "", ""
	}
	secret, err = url.QueryUnescape(password)
	if err != nil {
		return "", ""
	}
	return id, secret
}

// refuse answers in RFC 6749 §5.2's shape; 400 for everything, as Identity does.
func refuse(w http.ResponseWriter, code string) {
	reply(w, http.StatusBadRequest, map[string]any{"error": code})
}

func reply(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // a value of ours that is not JSON: a defect here
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
