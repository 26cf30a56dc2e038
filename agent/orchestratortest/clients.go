package orchestratortest

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
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
