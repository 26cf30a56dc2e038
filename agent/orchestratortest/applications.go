package orchestratortest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// clientsPath is below Identity's base; the package comment tells what of this
// administration is known.
const clientsPath = "/api/ExternalClient"

// administration adds the routes for external applications, which are there at
// the organization's level and at the host's.
func (s *Server) administration(mux *http.ServeMux) {
	for _, base := range []string{"/" + s.Org + "/identity_" + clientsPath, "/identity_" + clientsPath} {
		mux.HandleFunc("GET "+base+"/{partition}/{client}", s.administered(s.readApp, "PM.OAuthApp.Read"))
		mux.HandleFunc("POST "+base+"/GenerateSecret", s.administered(s.makeAppSecret, "PM.OAuthApp.Write", "PM.OAuthAppSecret.Write"))
		mux.HandleFunc("DELETE "+base+"/{partition}/secrets/{id}", s.administered(s.deleteAppSecret, "PM.OAuthApp.Write", "PM.OAuthAppSecret.Write"))
	}
}

// administered lets a request through whose bearer token is ours and has one of
// the scopes, at a level at which the organization is administered.
func (s *Server) administered(next http.HandlerFunc, scopes ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, ok := s.bearer(r)
		if !ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if !slices.ContainsFunc(scopes, func(one string) bool { return covers(c.Scope, one) }) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		hostLevel := strings.HasPrefix(r.URL.Path, "/identity_/")
		if named := r.PathValue("partition"); hostLevel && s.orgLevelOnly || named != "" && named != s.Partition {
			invalid(w, "InvalidPartition")
			return
		}
		next(w, r)
	}
}

// appSecret is a secret as Identity's administration answers it; the secret
// itself is there only in the answer to the POST that made it.
type appSecret struct {
	ID          int64      `json:"id"`
	Description string     `json:"description"`
	Secret      *string    `json:"secret"`
	Created     time.Time  `json:"creationTime"`
	Expires     *time.Time `json:"expiryTime"`
}

func (k secret) asApps() appSecret {
	a := appSecret{ID: k.id, Description: k.description, Created: k.created}
	if !k.expires.IsZero() {
		a.Expires = &k.expires
	}
	return a
}

func isApp(c *client) bool { return !c.machine }

// ofApp calls do with the external application; false if there is none.
func (s *Server) ofApp(clientID string, do func(*client)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[clientID]
	if c == nil || !isApp(c) {
		return false
	}
	do(c)
	return true
}

func (s *Server) readApp(w http.ResponseWriter, r *http.Request) {
	secrets, scopes := []appSecret{}, []map[string]any{}
	known := s.ofApp(r.PathValue("client"), func(c *client) {
		for _, k := range c.secrets {
			secrets = append(secrets, k.asApps())
		}
		for _, scope := range c.scopes {
			scopes = append(scopes, map[string]any{"name": scope, "displayName": scope, "type": "application"})
		}
	})
	if !known {
		missing(w)
		return
	}
	reply(w, http.StatusOK, map[string]any{
		"id": r.PathValue("client"), "name": "An application", "secret": nil, "isConfidential": true, "redirectUri": nil,
		"resources": []map[string]any{{"name": "Everything", "scopes": scopes}},
		"secrets":   secrets,
	})
}

func (s *Server) makeAppSecret(w http.ResponseWriter, r *http.Request) {
	var order struct {
		ClientID    string     `json:"clientId"`
		Partition   string     `json:"partitionGlobalId"`
		Description string     `json:"description"`
		Expires     *time.Time `json:"expiryTime"`
	}
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&order) != nil || order.ClientID == "" {
		invalid(w, "InvalidRequest")
		return
	}
	if order.Partition != s.Partition {
		invalid(w, "InvalidPartition")
		return
	}
	if order.Expires != nil && !order.Expires.After(s.now()) {
		invalid(w, "InvalidExpiryTime")
		return
	}
	var answer appSecret
	known := s.ofApp(order.ClientID, func(c *client) {
		made := s.addSecret(c, "")
		made.description = order.Description
		if order.Expires != nil {
			made.expires = order.Expires.UTC()
		}
		c.secrets[len(c.secrets)-1] = made
		answer = made.asApps()
		answer.Secret = &made.value
	})
	if !known {
		missing(w)
		return
	}
	reply(w, http.StatusOK, answer)
}

func (s *Server) deleteAppSecret(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || !s.removeSecret(id, isApp) {
		missing(w)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// invalid answers 400; the code is the vendor's where it is InvalidPartition.
func invalid(w http.ResponseWriter, code string) {
	reply(w, http.StatusBadRequest, map[string]any{"errorCode": code, "message": "The request is not valid."})
}

// missing answers 404 as the framework of the vendor's server does.
func missing(w http.ResponseWriter) {
	reply(w, http.StatusNotFound, map[string]any{"title": "Not Found", "status": http.StatusNotFound})
}
