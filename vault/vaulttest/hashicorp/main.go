// Command hashicorp is HashiCorp Vault's own core and HTTP API with storage in
// memory, for tests. Vault is under the Business Source License: this program is
// built where tests run, in a module of its own, and is never shipped.
//
// Like the Identity Servers of the tests it takes its start values as JSON in the
// first argument, prints its address on the first line of standard output, obeys
// one JSON command a line on standard input, and ends when that does.
//
//	test ──orders──► vault.do ──root's requests──────────► core
//	client ──TLS──► front (counts, delays, cuts, fakes) ──► core
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"time"
)

// order is one line of standard input; each command reads what it needs of Argument.
type order struct {
	Command  string `json:"command"`
	Argument struct {
		Method  string          `json:"method"`
		Path    string          `json:"path"` // without /v1/
		Body    json.RawMessage `json:"body"`
		WrapTTL string          `json:"wrapTTL"`
		fault
		Status   int    `json:"status"`
		Text     string `json:"text"`
		User     string `json:"user"`
		Password string `json:"password"`
	} `json:"argument"`
}

// answer is the core's or a fake one.
type answer struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
}

func main() {
	var start struct{ Certificate, Key string } // names of PEM files
	if err := json.Unmarshal([]byte(os.Args[1]), &start); err != nil {
		log.Fatal("read the start values: ", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	v, err := newVault()
	if err != nil {
		log.Fatal("start the vault: ", err)
	}
	server := &http.Server{
		Handler:           v.front,
		ReadHeaderTimeout: 10 * time.Second,
		// The cert login looks at any certificate that the client shows.
		TLSConfig: &tls.Config{ClientAuth: tls.RequestClientCert},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connection{}, c)
		},
	}
	go func() { log.Fatal(server.ServeTLS(listener, start.Certificate, start.Key)) }()

	answers := json.NewEncoder(os.Stdout)
	answers.Encode(map[string]string{"address": listener.Addr().String()})
	for orders := json.NewDecoder(os.Stdin); ; {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			log.Fatal("read a command: ", err)
		}
		result, err := v.do(o)
		if err != nil {
			log.Fatalf("%s: %v", o.Command, err)
		}
		if err := answers.Encode(map[string]any{"result": result}); err != nil {
			log.Fatalf("%s: %v", o.Command, err)
		}
	}
}

// do obeys one order. An error is a mistake in the test and ends the program.
func (v *vault) do(o order) (any, error) {
	a := o.Argument
	switch o.Command {
	case "api":
		return v.asRoot(a.Method, a.Path, a.Body, a.WrapTTL), nil
	case "seal":
		return nil, v.core.Seal(v.root)
	case "unseal":
		return nil, v.unseal()
	case "requests":
		return v.front.counted(), nil
	case "forget":
		v.front.forget()
	case "fault":
		v.front.addFault(a.fault)
	case "fake":
		v.front.addFake(a.Path, answer{a.Status, []byte(a.Text)})
	case "mend":
		v.front.mend()
	case "person":
		v.directory.add(a.User, a.Password)
	default:
		return nil, errors.New("unknown command")
	}
	return nil, nil
}

// asRoot asks the core itself, past front: what the test sets up is not counted.
func (v *vault) asRoot(method, path string, body []byte, wrapTTL string) answer {
	request := httptest.NewRequest(method, "/v1/"+path, bytes.NewReader(body))
	request.Header.Set("X-Vault-Token", v.root)
	if wrapTTL != "" {
		request.Header.Set("X-Vault-Wrap-TTL", wrapTTL)
	}
	response := httptest.NewRecorder()
	v.handler.ServeHTTP(response, request)
	a := answer{Status: response.Code}
	if response.Body.Len() > 0 {
		a.Body = response.Body.Bytes()
	}
	return a
}

// must is asRoot for what has to succeed.
func (v *vault) must(path string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if a := v.asRoot(http.MethodPost, path, data, ""); a.Status >= http.StatusMultipleChoices {
		return fmt.Errorf("%s: status %d: %s", path, a.Status, a.Body)
	}
	return nil
}
