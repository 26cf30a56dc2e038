package orchestratortest

import (
	"net/http"
	"strconv"
	"time"
)

// secretRecord is a client secret as the administration answers it; the secret
// itself is there only in the answer to the POST that made it.
type secretRecord struct {
	ID      int64     `json:"id"`
	Secret  *string   `json:"secret"`
	Created time.Time `json:"creationTime"`
}

func (s *Server) listSecrets(w http.ResponseWriter, r *http.Request, _ claims) {
	secrets, ok := s.secretsOf(r.PathValue("key"))
	if !ok {
		fail(w, http.StatusNotFound, 1002, "Machine does not exist.")
		return
	}
	list := make([]secretRecord, 0, len(secrets))
	for _, k := range secrets {
		list = append(list, secretRecord{ID: k.id, Created: k.created.UTC()})
	}
	reply(w, http.StatusOK, list)
}

func (s *Server) makeSecret(w http.ResponseWriter, r *http.Request, _ claims) {
	key := r.PathValue("key")
	if _, ok := s.secretsOf(key); !ok {
		fail(w, http.StatusNotFound, 1002, "Machine does not exist.")
		return
	}
	made := s.AddSecret(key, "")
	reply(w, http.StatusCreated, secretRecord{ID: made.SecretID, Secret: &made.Secret, Created: s.now().UTC()})
}

func (s *Server) deleteSecret(w http.ResponseWriter, r *http.Request, _ claims) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || !s.RemoveSecret(id) {
		fail(w, http.StatusNotFound, 1002, "Client secret does not exist.")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
