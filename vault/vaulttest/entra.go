package vaulttest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"keytender/installer/testbed"
)

// Entra is a FAKE of Microsoft Entra ID: one directory with one application,
// which logs in with a secret, with a certificate, or with another issuer's
// token. Its tokens are good for the one vault that they were made for.
type Entra struct {
	fake

	Tenant   string // the directory's id
	Domain   string // its other name
	ClientID string // the application's
	Secret   string // the application's

	mu           sync.Mutex
	life         time.Duration          // of the tokens that it makes
	tokens       map[string]issuedToken // by their text
	logins       int
	claims       string                       // that the last login was to prove
	certificates map[string]*x509.Certificate // by thumbprint
	federated    string                       // the token of another issuer's that it takes
	odd          []oddAnswer                  // of the next logins
	endpoint     string                       // where it says that tokens are had; "": here
	machine      machine
}

type issuedToken struct {
	resource string
	ends     time.Time
}

func fakeEntra(t testbed.Test) *Entra {
	t.Helper()
	e := &Entra{
		Tenant: "7d5f1c2a-0000-4000-8000-00000000000a", Domain: "contoso.example", ClientID: "3c1e9b77-0000-4000-8000-00000000000b", Secret: "secret-of-the-application",
		life: time.Hour, tokens: map[string]issuedToken{}, certificates: map[string]*x509.Certificate{},
	}
	e.start(t, e.serve, func(*http.Request) string { return "" })
	return e
}

// Authority is its address, as a configuration has it.
func (e *Entra) Authority() string { return "https://" + e.Host }

// Certificate makes a certificate that the application may log in with.
func (e *Entra) Certificate(t testbed.Test, o Of) Client {
	t.Helper()
	client := e.issuer.client(t, o)
	block, _ := pem.Decode([]byte(client.Chain))
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	thumbprint := sha256.Sum256(certificate.Raw)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.certificates[base64.StdEncoding.EncodeToString(thumbprint[:])] = certificate
	return client
}

// Stranger makes a certificate that the application may not log in with.
func (e *Entra) Stranger(t testbed.Test, o Of) Client { return e.issuer.client(t, o) }

// Federate has the application log in with that token of another issuer's.
func (e *Entra) Federate(token string) { e.set(func() { e.federated = token }) }

// Rotate gives the application another secret.
func (e *Entra) Rotate(secret string) { e.set(func() { e.Secret = secret }) }

// LiveFor is how long tokens live that are made from now on.
func (e *Entra) LiveFor(d time.Duration) { e.set(func() { e.life = d }) }

// Forget has no vault know any token that was made so far.
func (e *Entra) Forget() { e.set(func() { clear(e.tokens) }) }

// TokensAt has it say that tokens are had at another address.
func (e *Entra) TokensAt(address string) { e.set(func() { e.endpoint = address }) }

// Fail has the next login refused with that code of Entra's: AADSTS and digits.
func (e *Entra) Fail(status, code int) { e.FailWith(status, nil, entraError(code)) }

// FailWith is Fail with whatever status, headers and body.
func (e *Entra) FailWith(status int, header map[string]string, body string) {
	e.set(func() { e.odd = append(e.odd, oddAnswer{status, header, body}) })
}

func (e *Entra) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

// Logins is how many tokens it has made.
func (e *Entra) Logins() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.logins
}

// Claims are what the last login was to prove, as the client wrote it.
func (e *Entra) Claims() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.claims
}

// Tokens are the texts of those that a vault still takes.
func (e *Entra) Tokens() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var texts []string
	for text := range e.tokens {
		texts = append(texts, text)
	}
	return texts
}

// knows tells whether a request brings a token for that resource.
func (e *Entra) knows(r *http.Request, resource string) bool {
	text, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	e.mu.Lock()
	defer e.mu.Unlock()
	token, known := e.tokens[text]
	return known && token.resource == resource && time.Now().Before(token.ends)
}

// token makes one. The mu is held.
func (e *Entra) token(resource string) (text string, life time.Duration) {
	text = "token-of-entra-" + rand.Text()
	e.tokens[text] = issuedToken{resource, time.Now().Add(e.life)}
	e.logins++
	return text, e.life
}

func (e *Entra) serve(w http.ResponseWriter, r *http.Request) {
	tenant, page, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	at := "https://" + r.Host + "/" + tenant
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case tenant != e.Tenant && tenant != e.Domain:
		answerJSON(w, http.StatusBadRequest, entraError(90002))
	case r.Method == "GET" && page == "v2.0/.well-known/openid-configuration":
		endpoint := at + "/oauth2/v2.0/token"
		if e.endpoint != "" {
			endpoint = e.endpoint
		}
		answerValue(w, map[string]string{"issuer": at + "/v2.0", "authorization_endpoint": at + "/oauth2/v2.0/authorize", "token_endpoint": endpoint})
	case r.Method == "POST" && page == "oauth2/v2.0/token":
		if len(e.odd) > 0 {
			odd := e.odd[0]
			e.odd = e.odd[1:]
			odd.answer(w)
			return
		}
		if status, code := e.refuses(r, at+"/oauth2/v2.0/token"); status != 0 {
			answerJSON(w, status, entraError(code))
			return
		}
		e.claims = r.PostForm.Get("claims")
		text, life := e.token(strings.TrimSuffix(r.PostForm.Get("scope"), "/.default"))
		answerValue(w, map[string]any{"token_type": "Bearer", "expires_in": int(life.Seconds()), "access_token": text})
	default:
		http.Error(w, ServersText, http.StatusNotFound)
	}
}

// refuses is why a login fails. The mu is held.
func (e *Entra) refuses(r *http.Request, endpoint string) (status, code int) {
	if err := r.ParseForm(); err != nil || r.PostForm.Get("grant_type") != "client_credentials" {
		return http.StatusBadRequest, 900144
	}
	form := r.PostForm
	// MSAL asks for these scopes besides; Entra gives no application any for them.
	scopes := slices.DeleteFunc(strings.Fields(form.Get("scope")), func(s string) bool {
		return s == "openid" || s == "offline_access" || s == "profile"
	})
	if len(scopes) != 1 || !strings.HasSuffix(scopes[0], "/.default") {
		return http.StatusBadRequest, 70011
	}
	form.Set("scope", scopes[0])
	assertion := form.Get("client_assertion")
	switch {
	case form.Get("client_id") != e.ClientID:
		return http.StatusBadRequest, 700016
	case assertion == "" && form.Get("client_secret") != e.Secret:
		return http.StatusUnauthorized, 7000215
	case assertion == "":
		return 0, 0
	case form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
		return http.StatusBadRequest, 900144
	case assertion == e.federated:
		return 0, 0
	case strings.Count(assertion, ".") != 2 || !strings.Contains(part(assertion, 0), "x5t#S256"):
		return http.StatusUnauthorized, 700213
	}
	return e.refusesAssertion(assertion, endpoint)
}

// refusesAssertion verifies what the application signed with its certificate's
// key. The mu is held.
func (e *Entra) refusesAssertion(assertion, endpoint string) (status, code int) {
	var header struct {
		Algorithm  string `json:"alg"`
		Thumbprint string `json:"x5t#S256"`
	}
	var claims struct {
		Audience string `json:"aud"`
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Until    int64  `json:"exp"`
		From     int64  `json:"nbf"`
	}
	signed := assertion[:strings.LastIndex(assertion, ".")]
	sum := sha256.Sum256([]byte(signed))
	if json.Unmarshal([]byte(part(assertion, 0)), &header) != nil || json.Unmarshal([]byte(part(assertion, 1)), &claims) != nil {
		return http.StatusUnauthorized, 50027
	}
	certificate := e.certificates[header.Thumbprint]
	if certificate == nil {
		return http.StatusUnauthorized, 700027
	}
	key, now := certificate.PublicKey.(*rsa.PublicKey), time.Now().Unix()
	switch {
	case header.Algorithm != "PS256" || rsa.VerifyPSS(key, crypto.SHA256, sum[:], []byte(part(assertion, 2)), nil) != nil:
		return http.StatusUnauthorized, 700027
	case claims.Audience != endpoint || claims.Issuer != e.ClientID || claims.Subject != e.ClientID:
		return http.StatusUnauthorized, 700023
	case now >= claims.Until || now < claims.From:
		return http.StatusUnauthorized, 700024
	}
	return 0, 0
}

// part is a part of a JWT, decoded.
func part(jwt string, i int) string {
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(jwt, ".")[i])
	if err != nil {
		return ""
	}
	return string(text)
}

// entraError is the body of a refusal.
func entraError(code int) string {
	return fmt.Sprintf(`{"error":"invalid_client","error_description":"AADSTS%d: %s","error_codes":[%d],"trace_id":"%s"}`, code, ServersText, code, url.QueryEscape(ServersText))
}

func answerValue(w http.ResponseWriter, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err) // of strings and numbers alone
	}
	answerJSON(w, http.StatusOK, string(body))
}
