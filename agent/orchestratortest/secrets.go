package orchestratortest

import (
	"crypto/rand"
	"crypto/subtle"
	"slices"
	"time"
)

type secret struct {
	id          int64
	value       string
	description string    // of an application's secret
	created     time.Time // by the server's clock, as all of its times
	expires     time.Time // of an application's secret; zero: never
	late        int       // how many more uses are refused; below 0: all
}

// AddSecret gives a client one more secret; all of its secrets are valid at
// once. An empty secret is made up. It panics if there is no such client.
func (s *Server) AddSecret(clientID, secret string) Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[clientID]
	if c == nil {
		panic("orchestratortest: no client " + clientID)
	}
	added := s.addSecret(c, secret)
	return Client{ID: c.id, Secret: added.value, SecretID: added.id}
}

// addSecret needs s.mu.
func (s *Server) addSecret(c *client, value string) secret {
	if value == "" {
		random := rand.Text()
		value = random[:6] + "!%&+" + random[6:16]
	}
	s.secretID++
	added := secret{id: s.secretID, value: value, created: s.clock().UTC(), late: s.late}
	c.secrets = append(c.secrets, added)
	return added
}

// RemoveSecret makes a secret invalid, whoever's it is, and tells whether there
// was one. Tokens that it got stay valid.
func (s *Server) RemoveSecret(id int64) bool {
	return s.removeSecret(id, func(*client) bool { return true })
}

// removeSecret removes a secret of one of those clients.
func (s *Server) removeSecret(id int64, of func(*client) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clients {
		if i := slices.IndexFunc(c.secrets, func(k secret) bool { return k.id == id }); i >= 0 && of(c) {
			c.secrets = slices.Delete(c.secrets, i, i+1)
			return true
		}
	}
	return false
}

// Secrets lists what a client has, in the order in which it was made; nil if
// there is no such client.
func (s *Server) Secrets(clientID string) []Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[clientID]
	if c == nil {
		return nil
	}
	list := make([]Client, 0, len(c.secrets))
	for _, k := range c.secrets {
		list = append(list, Client{ID: c.id, Secret: k.value, SecretID: k.id})
	}
	return list
}

// DelaySecrets makes every secret that is made from now on, in whatever way,
// unknown to the token endpoint for its first uses: invalid_client, as a server
// says whose parts have not heard of it yet. Below 0 it stays unknown until
// ReleaseSecrets; 0 ends the order, and what it delayed already stays so.
func (s *Server) DelaySecrets(uses int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = uses
}

// ReleaseSecrets ends what DelaySecrets began, for all secrets at once.
func (s *Server) ReleaseSecrets() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = 0
	for _, c := range s.clients {
		for i := range c.secrets {
			c.secrets[i].late = 0
		}
	}
}

// authenticate finds the client to which id and value belong, else nil.
func (s *Server) authenticate(id, value string) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[id]
	if c == nil {
		return nil
	}
	s.byClient[id]++
	for i := range c.secrets {
		k := &c.secrets[i]
		if subtle.ConstantTimeCompare([]byte(k.value), []byte(value)) != 1 {
			continue
		}
		if expired := !k.expires.IsZero() && !s.clock().Before(k.expires); !expired && k.arrived() {
			return c
		}
	}
	return nil
}

// arrived counts a use and tells whether the token endpoint knows the secret.
func (k *secret) arrived() bool {
	if k.late > 0 {
		k.late--
		return false
	}
	return k.late == 0
}
