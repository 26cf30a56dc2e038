package orchestratortest

import (
	"net/http"
	"strings"
)

// routes is the whole server: Identity's part, then Orchestrator's.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+discoveryPath, s.discovery)
	mux.HandleFunc("GET "+jwksPath, s.jwks)
	mux.HandleFunc("POST "+tokenPath, s.token)
	s.administration(mux)

	orch := "/" + s.Org + "/" + s.Tenant + "/orchestrator_"
	mux.HandleFunc("GET /orchestrator_/api/status/version", s.version)
	mux.HandleFunc("GET "+orch+"/api/Status/Get", s.status)
	mux.HandleFunc("GET "+orch+"/odata/Folders", s.with("OR.Folders.Read", s.folders))
	mux.HandleFunc("GET "+orch+"/odata/Users/UiPath.Server.Configuration.OData.GetCurrentUser", s.with("OR.Users.Read", s.currentUser))
	mux.HandleFunc("GET "+orch+"/api/clientsecrets/{key}", s.with("OR.Machines.Read", s.listSecrets))
	mux.HandleFunc("POST "+orch+"/api/clientsecrets/{key}", s.with("OR.Machines.Write", s.makeSecret))
	mux.HandleFunc("DELETE "+orch+"/api/clientsecrets/{id}", s.with("OR.Machines.Write", s.deleteSecret))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, 1002, "There is nothing at this address.")
	})
	return mux
}

type handler func(w http.ResponseWriter, r *http.Request, c claims)

// with lets a request through whose bearer token is ours, has not expired and
// has the scope. A machine's token may read folders and nothing else here.
func (s *Server) with(scope string, next handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, ok := s.bearer(r)
		if !ok {
			fail(w, http.StatusUnauthorized, 0, "You are not authenticated! Error code: 0")
			return
		}
		robot := scope == "OR.Folders.Read" && covers(c.Scope, machineScope)
		if !robot && !covers(c.Scope, scope) {
			fail(w, http.StatusForbidden, 0, "You are not authorized! Error code: 0")
			return
		}
		next(w, r, c)
	}
}

// bearer reads a request's token; false if there is none, or it is not ours, or
// its time has not come or has passed.
func (s *Server) bearer(r *http.Request) (claims, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	c, ok := s.keys.verify(token)
	now := s.now().Unix()
	return c, ok && strings.EqualFold(scheme, "Bearer") && c.Issuer == s.Identity && now < c.Expires && now >= c.NotBefore
}

func (s *Server) version(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusOK, map[string]string{"version": "2025.10.0", "deployment": "ServiceFabric"})
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusOK, map[string]any{"status": "OK"})
}

func (s *Server) folders(w http.ResponseWriter, r *http.Request, _ claims) {
	reply(w, http.StatusOK, map[string]any{
		"@odata.context": s.Orchestrator + "/odata/$metadata#Folders",
		"@odata.count":   1,
		"value":          []map[string]any{{"Id": 1, "DisplayName": "Shared", "FullyQualifiedName": "Shared"}},
	})
}

func (s *Server) currentUser(w http.ResponseWriter, r *http.Request, c claims) {
	reply(w, http.StatusOK, map[string]any{"UserName": c.ClientID, "TenancyName": s.Tenant, "Id": 1})
}

// fail answers in Orchestrator's shape.
func fail(w http.ResponseWriter, status, code int, message string) {
	reply(w, status, map[string]any{"message": message, "errorCode": code, "resourceIds": nil})
}
