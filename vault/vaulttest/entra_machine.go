package vaulttest

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"

	"keytender/installer/testbed"
)

// machine is what a machine in Azure has of Entra without a login: its own
// identity, and one that was assigned to it by the application's client id.
type machine struct {
	header string   // what App Service wants to be shown
	asked  []string // "GET /path?query", in their order
	fails  []oddAnswer
}

// AppService starts the endpoint that App Service and its kin give their
// programs, in the environment variables IDENTITY_ENDPOINT and IDENTITY_HEADER.
func (e *Entra) AppService(t testbed.Test) (endpoint, header string) {
	t.Helper()
	e.set(func() { e.machine.header = "header-of-app-service" })
	server := httptest.NewServer(http.HandlerFunc(e.serveAppService))
	t.Cleanup(server.Close)
	return server.URL + "/msi/token", "header-of-app-service"
}

// ServeMetadata serves the instance metadata service of a virtual machine until
// the test ends.
func (e *Entra) ServeMetadata(t testbed.Test, l net.Listener) {
	t.Helper()
	server := &http.Server{Handler: http.HandlerFunc(e.serveMetadata), ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
}

// FailMachine has the next question to the machine's endpoints answered so.
func (e *Entra) FailMachine(status int, header map[string]string, body string) {
	e.set(func() { e.machine.fails = append(e.machine.fails, oddAnswer{status, header, body}) })
}

// MachineAsked are the questions to the machine's endpoints.
func (e *Entra) MachineAsked() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.machine.asked...)
}

func (e *Entra) serveAppService(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := r.URL.Query()
	right := r.Header.Get("X-IDENTITY-HEADER") == e.machine.header && q.Get("api-version") == "2019-08-01" && r.URL.Path == "/msi/token"
	e.answerMachine(w, r, right)
}

func (e *Entra) serveMetadata(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	right := r.Header.Get("Metadata") == "true" && r.Header.Get("X-Forwarded-For") == "" && r.Host == "169.254.169.254" &&
		r.URL.Query().Get("api-version") == "2018-02-01" && r.URL.Path == "/metadata/identity/oauth2/token"
	e.answerMachine(w, r, right)
}

// answerMachine hands a token out. The mu is held.
func (e *Entra) answerMachine(w http.ResponseWriter, r *http.Request, right bool) {
	e.machine.asked = append(e.machine.asked, r.Method+" "+r.RequestURI)
	if len(e.machine.fails) > 0 {
		fails := e.machine.fails[0]
		e.machine.fails = e.machine.fails[1:]
		fails.answer(w)
		return
	}
	q := r.URL.Query()
	identity := q.Get("client_id")
	if !right || q.Get("resource") == "" || identity != "" && identity != e.ClientID {
		answerJSON(w, http.StatusBadRequest, `{"error":"invalid_request","error_description":"`+ServersText+`"}`)
		return
	}
	text, life := e.token(q.Get("resource"))
	answerValue(w, map[string]string{
		"access_token": text, "token_type": "Bearer", "resource": q.Get("resource"), "client_id": identity,
		"expires_on": strconv.FormatInt(time.Now().Add(life).Unix(), 10), "expires_in": strconv.Itoa(int(life.Seconds())),
	})
}
