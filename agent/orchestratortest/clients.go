package orchestratortest

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"
	"time"
)

// machineScope is the only scope that a machine object's credentials get.
const machineScope = "OrchestratorApiUserAccess"

// Client is what a person would copy from Orchestrator's pages: a client id and
// one secret of it.
type Client struct {
	ID, Secret string
	SecretID   int64 // of Secret, for RemoveSecret
}

// client is the server's own view.
type client struct {
	id      string
	machine bool
	scopes  []string // what an app may ask for
	secrets []secret
}

type secret struct {
	id      int64
	value   string
	created time.Time
}

// AddMachine adds a machine object, as a robot's unattended connection uses it.
// An empty id or secret is made up. A made-up secret has symbols in it, as real
// ones have.
func (s *Server) AddMachine(id, secret string) Client {
	return s.add(&client{id: id, machine: true}, secret)
}

// AddApp adds a confidential external application that may ask for scopes.
// An empty id or secret is made up.
func (s *Server) AddApp(id, secret string, scopes ...string) Client {
	return s.add(&client{id: id, scopes: scopes}, secret)
}

func (s *Server) add(c *client, value string) Client {
	if c.id == "" {
		c.id = newGUID()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients[c.id] = c
	added := s.addSecret(c, value)
	return Client{ID: c.id, Secret: added.value, SecretID: added.id}
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
	added := secret{id: s.secretID, value: value, created: time.Now()}
	c.secrets = append(c.secrets, added)
	return added
}

// RemoveSecret makes a secret invalid, whoever's it is, and tells whether there
// was one. Tokens that it got stay valid.
func (s *Server) RemoveSecret(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clients {
		if i := slices.IndexFunc(c.secrets, func(k secret) bool { return k.id == id }); i >= 0 {
			c.secrets = slices.Delete(c.secrets, i, i+1)
			return true
		}
	}
	return false
}

// secretsOf lists a machine's secrets; false if there is no such machine.
func (s *Server) secretsOf(licenseKey string) ([]secret, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[licenseKey]
	if c == nil || !c.machine {
		return nil, false
	}
	return slices.Clone(c.secrets), true
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
	for _, k := range c.secrets {
		if subtle.ConstantTimeCompare([]byte(k.value), []byte(value)) == 1 {
			return c
		}
	}
	return nil
}

// granted decides what a request for scopes gets; false is invalid_scope.
// Asking for nothing gets everything the client may have.
func (c *client) granted(scopes []string) ([]string, bool) {
	allowed := c.scopes
	if c.machine {
		allowed = []string{machineScope}
	}
	if len(scopes) == 0 {
		return allowed, len(allowed) > 0
	}
	for _, want := range scopes {
		if !covers(allowed, want) {
			return nil, false
		}
	}
	return scopes, true
}

// covers tells whether want is among have; OR.Machines covers OR.Machines.Read
// and OR.Machines.Write, never the reverse.
func covers(have []string, want string) bool {
	resource, found := strings.CutSuffix(want, ".Read")
	if !found {
		resource = strings.TrimSuffix(want, ".Write")
	}
	return slices.Contains(have, want) || slices.Contains(have, resource)
}

func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
