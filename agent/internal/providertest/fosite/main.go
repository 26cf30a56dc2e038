// Command fosite is an Identity Server built on ory/fosite: opaque access
// tokens, and client secrets that are rotated while the server runs.
//
// Like npm/provider.mjs it takes its start values as JSON in the first argument,
// prints its address on the first line of standard output, obeys one JSON
// command a line on standard input, and ends when that does.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"
	"golang.org/x/crypto/bcrypt"
)

type start struct {
	ClientID string   `json:"clientID"`
	Secret   string   `json:"secret"`
	Lifetime int      `json:"lifetime"`
	Scopes   []string `json:"scopes"`
}

// server is a fosite provider with one client whose values can be changed.
type server struct {
	issuer   string
	provider fosite.OAuth2Provider

	mu       sync.Mutex
	config   *fosite.Config
	client   fosite.DefaultClient
	secrets  []string
	requests int
}

// clients is where fosite looks the client up at each request.
type clients struct {
	*storage.MemoryStore
	server *server
}

func (c clients) GetClient(_ context.Context, id string) (fosite.Client, error) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if id != c.server.client.ID {
		return nil, fosite.ErrNotFound
	}
	client := c.server.client
	return &client, nil
}

func main() {
	var s start
	if err := json.Unmarshal([]byte(os.Args[1]), &s); err != nil {
		log.Fatal("read the start values: ", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	origin := "http://" + listener.Addr().String()
	server := newServer(origin+"/identity_", s)
	go func() { log.Fatal(http.Serve(listener, server.routes())) }()

	answers := json.NewEncoder(os.Stdout)
	answers.Encode(map[string]string{"origin": origin, "issuer": server.issuer})
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		answers.Encode(map[string]any{"result": server.obey(lines.Bytes())})
	}
}

func newServer(issuer string, start start) *server {
	s := &server{
		issuer: issuer,
		config: &fosite.Config{
			GlobalSecret:        []byte(rand.Text() + rand.Text()),
			HashCost:            bcrypt.MinCost,
			ScopeStrategy:       fosite.ExactScopeStrategy,
			AccessTokenLifespan: time.Duration(start.Lifetime) * time.Second,
		},
		client: fosite.DefaultClient{
			ID:         start.ClientID,
			GrantTypes: []string{"client_credentials"},
			Scopes:     start.Scopes,
		},
	}
	s.setSecrets([]string{start.Secret})
	s.provider = compose.Compose(
		s.config,
		clients{storage.NewMemoryStore(), s},
		compose.NewOAuth2HMACStrategy(s.config),
		compose.OAuth2ClientCredentialsGrantFactory,
	)
	return s
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /identity_/.well-known/openid-configuration", s.discover)
	mux.HandleFunc("POST /identity_/connect/token", s.token)
	return mux
}

func (s *server) discover(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"issuer":                                s.issuer,
		"token_endpoint":                        s.issuer + "/connect/token",
		"grant_types_supported":                 []string{"client_credentials"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
		"scopes_supported":                      s.client.Scopes,
	})
}

func (s *server) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests++
	s.mu.Unlock()
	request, err := s.provider.NewAccessRequest(r.Context(), r, new(fosite.DefaultSession))
	if err != nil {
		s.provider.WriteAccessError(r.Context(), w, request, err)
		return
	}
	for _, scope := range request.GetRequestedScopes() {
		request.GrantScope(scope)
	}
	response, err := s.provider.NewAccessResponse(r.Context(), request)
	if err != nil {
		s.provider.WriteAccessError(r.Context(), w, request, err)
		return
	}
	s.provider.WriteAccessResponse(r.Context(), w, request, response)
}

func (s *server) obey(line []byte) any {
	var order struct {
		Command  string          `json:"command"`
		Argument json.RawMessage `json:"argument"`
	}
	if err := json.Unmarshal(line, &order); err != nil {
		log.Fatal("read a command: ", err)
	}
	var secret string
	s.mu.Lock()
	defer s.mu.Unlock()
	switch order.Command {
	case "addSecret":
		json.Unmarshal(order.Argument, &secret)
		s.setSecrets(append(s.secrets, secret))
	case "removeSecret":
		json.Unmarshal(order.Argument, &secret)
		s.setSecrets(slices.DeleteFunc(s.secrets, func(known string) bool { return known == secret }))
	case "tokenRequests":
		return s.requests
	default:
		log.Fatal("unknown command ", order.Command)
	}
	return nil
}

// setSecrets makes the newest secret the client's own and the others rotated ones.
func (s *server) setSecrets(secrets []string) {
	s.secrets, s.client.Secret, s.client.RotatedSecrets = secrets, nil, nil
	for i, secret := range secrets {
		hash, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
		if err != nil {
			log.Fatal("hash a secret: ", err)
		}
		if i == len(secrets)-1 {
			s.client.Secret = hash
		} else {
			s.client.RotatedSecrets = append(s.client.RotatedSecrets, hash)
		}
	}
}
