package orchestratortest

import (
	"net/http"
	"strconv"
	"time"
)

// machineSecret is a secret as the administration of machine objects answers it;
// the secret itself is there only in the answer to the POST that made it.
type machineSecret struct {
	ID      int64     `json:"id"`
	Secret  *string   `json:"secret"`
	Created time.Time `json:"creationTime"`
}

func isMachine(c *client) bool { return c.machine }

// ofMachine calls do with the machine that has the license key, which is its
// client id; false if there is none.
func (s *Server) ofMachine(licenseKey string, do func(*client)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[licenseKey]
	if c == nil || !isMachine(c) {
		return false
	}
	do(c)
	return true
}

func (s *Server) listSecrets(w http.ResponseWriter, r *http.Request, _ claims) {
	list := []machineSecret{}
	known := s.ofMachine(r.PathValue("key"), func(c *client) {
		for _, k := range c.secrets {
			list = append(list, machineSecret{ID: k.id, Created: k.created})
		}
	})
	if !known {
		fail(w, http.StatusNotFound, 1002, "Machine does not exist.")
		return
	}
	reply(w, http.StatusOK, list)
}

func (s *Server) makeSecret(w http.ResponseWriter, r *http.Request, _ claims) {
	var made secret
	known := s.ofMachine(r.PathValue("key"), func(c *client) { made = s.addSecret(c, "") })
	if !known {
		fail(w, http.StatusNotFound, 1002, "Machine does not exist.")
		return
	}
	reply(w, http.StatusCreated, machineSecret{ID: made.id, Secret: &made.value, Created: made.created})
}

func (s *Server) deleteSecret(w http.ResponseWriter, r *http.Request, _ claims) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || !s.removeSecret(id, isMachine) {
		fail(w, http.StatusNotFound, 1002, "Client secret does not exist.")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
