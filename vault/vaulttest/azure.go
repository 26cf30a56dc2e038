package vaulttest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azfake "github.com/Azure/azure-sdk-for-go/sdk/azcore/fake"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	secretsfake "github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets/fake"

	"keytender/installer/testbed"
)

// KeyVault is a FAKE of an Azure Key Vault with soft delete, for there is no
// emulator. What it grants is read and written by Microsoft's own fake of the
// azsecrets client; what it refuses is shaped by hand, as Microsoft's pages and
// others' logs show the answers of real ones.
//
//	TLS ─► a token of Entra's? ─► refusals ─► azsecrets/fake ─► secrets in memory
//	           └─► 401 with a challenge
//
// A challenge names as the resource what follows the first label of the vault's
// host, as a real one does, so that the client's check of it stays on: a vault
// at 127.0.0.1:443 has the resource https://0.0.1:443.
type KeyVault struct {
	fake
	Entra *Entra

	transport *secretsfake.ServerTransport

	mu        sync.Mutex
	secrets   map[string]azsecrets.Secret // the newest version, by name in lower case
	deleted   map[string]bool
	odd       []oddAnswer     // of the next questions that bring a token
	challenge string          // in the place of the proper one
	agents    map[string]bool // what clients call themselves
}

// oddAnswer is what a fake of Azure says instead of the truth.
type oddAnswer struct {
	status int
	header map[string]string
	body   string
}

const mostOfASecret = 25 << 10 // bytes; what Key Vault takes

// FakeKeyVault starts a fake vault and its fake Entra. They end with the test.
func FakeKeyVault(t testbed.Test) *KeyVault {
	t.Helper()
	k := &KeyVault{Entra: fakeEntra(t), secrets: map[string]azsecrets.Secret{}, deleted: map[string]bool{}, agents: map[string]bool{}}
	k.transport = secretsfake.NewServerTransport(&secretsfake.Server{
		GetSecret: k.getSecret, SetSecret: k.setSecret, DeleteSecret: k.deleteSecret,
	})
	k.start(t, k.serve, secretOf)
	return k
}

// CAFiles are the authorities of the vault's certificate and of Entra's.
func (k *KeyVault) CAFiles() []string { return []string{k.CAFile, k.Entra.CAFile} }

// Hold keeps every answer of both servers back until release is called.
func (k *KeyVault) Hold(t *testing.T) (release func()) {
	vault, entra := k.fake.Hold(t), k.Entra.Hold(t)
	return func() { vault(); entra() }
}

// Cut ends connections to both servers without an answer until restore is
// called.
func (k *KeyVault) Cut(t *testing.T) (restore func()) {
	vault, entra := k.fake.Cut(t), k.Entra.Cut(t)
	return func() { vault(); entra() }
}

// Set makes a new version of a secret, as another program would.
func (k *KeyVault) Set(name, value string) { k.SetAs(name, azsecrets.Secret{Value: &value}) }

// SetAs is Set with what else a version has: attributes, content type, tags.
func (k *KeyVault) SetAs(name string, s azsecrets.Secret) azsecrets.Secret {
	version := make([]byte, 16)
	_, _ = rand.Read(version) // never fails
	id, now := azsecrets.ID(fmt.Sprintf("https://%s/secrets/%s/%s", k.Host, name, hex.EncodeToString(version))), time.Now().UTC().Truncate(time.Second)
	attributes := azsecrets.SecretAttributes{}
	if s.Attributes != nil {
		attributes = *s.Attributes
	}
	if attributes.Enabled == nil {
		attributes.Enabled = new(true)
	}
	if attributes.Created == nil {
		attributes.Created, attributes.Updated = &now, &now
	}
	s.ID, s.Attributes = &id, &attributes
	k.mu.Lock()
	defer k.mu.Unlock()
	k.secrets[strings.ToLower(name)] = s
	delete(k.deleted, strings.ToLower(name))
	return s
}

// Newest is the newest version of a secret; the zero value, where there is none.
func (k *KeyVault) Newest(name string) azsecrets.Secret {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.secrets[strings.ToLower(name)]
}

// Fail has the next question that brings a token answered with an error of Key
// Vault's: a code, and an inner one where that is not "".
func (k *KeyVault) Fail(status int, code, inner string) {
	k.FailWith(status, nil, keyVaultError(code, inner, ""))
}

// FailSaying is Fail with the beginning of the error's text.
func (k *KeyVault) FailSaying(status int, code, text string) {
	k.FailWith(status, nil, keyVaultError(code, "", text))
}

// FailWith is Fail with whatever status, headers and body.
func (k *KeyVault) FailWith(status int, header map[string]string, body string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.odd = append(k.odd, oddAnswer{status, header, body})
}

// Challenge has the vault ask for tokens in those words; "" are the proper ones.
func (k *KeyVault) Challenge(words string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.challenge = words
}

// UserAgents are what the clients called themselves that asked the vault.
func (k *KeyVault) UserAgents() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.agents))
}

var secretPath = regexp.MustCompile(`^/secrets/([^/]+)/?$`)

// secretOf is the name of the secret that a request is about.
func secretOf(r *http.Request) string {
	if parts := secretPath.FindStringSubmatch(r.URL.Path); parts != nil {
		return parts[1]
	}
	return ""
}

func (k *KeyVault) serve(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.agents[r.UserAgent()] = true
	k.mu.Unlock()
	resource := "https://" + r.Host[strings.Index(r.Host, ".")+1:]
	if !k.Entra.knows(r, resource) {
		k.mu.Lock()
		challenge := k.challenge
		k.mu.Unlock()
		if challenge == "" {
			challenge = fmt.Sprintf(`Bearer authorization="https://%s/%s", resource="%s"`, k.Entra.Host, k.Entra.Tenant, resource)
		}
		w.Header().Set("WWW-Authenticate", challenge)
		answerJSON(w, http.StatusUnauthorized, keyVaultError("Unauthorized", "", "AKV10000: "))
		return
	}
	if odd, there := k.nextOdd(); there {
		odd.answer(w)
		return
	}
	name, api := secretOf(r), map[string]string{"GET": "Client.GetSecret", "PUT": "Client.SetSecret", "DELETE": "Client.DeleteSecret"}[r.Method]
	if name == "" || api == "" {
		http.Error(w, ServersText, http.StatusNotFound)
		return
	}
	if status, code, inner := k.refuses(r.Method, strings.ToLower(name)); status != 0 {
		answerJSON(w, status, keyVaultError(code, inner, ""))
		return
	}
	answer, err := k.transport.Do(r.WithContext(context.WithValue(r.Context(), runtime.CtxAPINameKey{}, api)))
	if refusal, ok := errors.AsType[*azcore.ResponseError](err); ok {
		answerJSON(w, refusal.StatusCode, keyVaultError(refusal.ErrorCode, "", ""))
		return
	} else if err != nil {
		http.Error(w, ServersText, http.StatusInternalServerError)
		return
	}
	defer answer.Body.Close()
	w.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body)
}

func (k *KeyVault) nextOdd() (oddAnswer, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.odd) == 0 {
		return oddAnswer{}, false
	}
	next := k.odd[0]
	k.odd = k.odd[1:]
	return next, true
}

func (o oddAnswer) answer(w http.ResponseWriter) {
	for key, value := range o.header {
		w.Header().Set(key, value)
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(o.status)
	_, _ = io.WriteString(w, o.body)
}

// refuses is why the state of a secret stands against what is asked.
func (k *KeyVault) refuses(method, name string) (status int, code, inner string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	secret, there := k.secrets[name]
	switch {
	case k.deleted[name] && method == "PUT":
		return http.StatusConflict, "Conflict", "ObjectIsDeletedButRecoverable"
	case method == "PUT":
	case !there:
		return http.StatusNotFound, "SecretNotFound", ""
	case method == "GET" && !*secret.Attributes.Enabled:
		return http.StatusForbidden, "Forbidden", "SecretDisabled"
	}
	return 0, "", ""
}

func (k *KeyVault) getSecret(_ context.Context, name, _ string, _ *azsecrets.GetSecretOptions) (answer azfake.Responder[azsecrets.GetSecretResponse], _ azfake.ErrorResponder) {
	answer.SetResponse(http.StatusOK, azsecrets.GetSecretResponse{Secret: k.Newest(name)}, nil)
	return
}

func (k *KeyVault) setSecret(_ context.Context, name string, p azsecrets.SetSecretParameters, _ *azsecrets.SetSecretOptions) (answer azfake.Responder[azsecrets.SetSecretResponse], refusal azfake.ErrorResponder) {
	if p.Value == nil || len(*p.Value) > mostOfASecret {
		refusal.SetResponseError(http.StatusBadRequest, "BadParameter")
		return
	}
	made := k.SetAs(name, azsecrets.Secret{Value: p.Value, ContentType: p.ContentType, Tags: p.Tags, Attributes: p.SecretAttributes})
	answer.SetResponse(http.StatusOK, azsecrets.SetSecretResponse{Secret: made}, nil)
	return
}

func (k *KeyVault) deleteSecret(_ context.Context, name string, _ *azsecrets.DeleteSecretOptions) (answer azfake.Responder[azsecrets.DeleteSecretResponse], _ azfake.ErrorResponder) {
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.secrets[strings.ToLower(name)]
	delete(k.secrets, strings.ToLower(name))
	k.deleted[strings.ToLower(name)] = true
	answer.SetResponse(http.StatusOK, azsecrets.DeleteSecretResponse{DeletedSecret: azsecrets.DeletedSecret{ID: was.ID, Attributes: was.Attributes}}, nil)
	return
}

// keyVaultError is the body of a refusal.
func keyVaultError(code, inner, text string) string {
	said := map[string]any{"code": code, "message": text + ServersText}
	if inner != "" {
		said["innererror"] = map[string]string{"code": inner}
	}
	body, err := json.Marshal(map[string]any{"error": said})
	if err != nil {
		panic(err) // of strings alone
	}
	return string(body)
}
