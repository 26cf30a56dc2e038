package providertest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	_ "embed"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"keytender/installer/testbed"
)

//go:embed glewlwyd.conf
var glewlwydConf string

// Glewlwyd starts Debian's glewlwyd, the awkward server: its discovery document
// lists no client_credentials though they work, a wrong secret and a request
// without scope get 403 with an empty body, a refused scope gets "scope_invalid",
// and the token type is "bearer" in lower case. It keeps one secret a client and
// counts nothing, so of Server's methods only Stop works.
func Glewlwyd(t testing.TB) *Server {
	t.Helper()
	tree, err := testbed.Glewlwyd().Find()
	if err != nil {
		t.Fatal(err)
	}
	dir, host := t.TempDir(), freeAddress(t)
	s := newServer(t)
	s.Origin = "http://" + host
	s.Issuer = s.Origin + "/api/identity"

	database := filepath.Join(dir, "glewlwyd.db")
	schema, err := os.Open(filepath.Join(tree, "usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"))
	if err != nil {
		t.Fatal(err)
	}
	defer schema.Close()
	sqlite := exec.Command(program(t, tree, "sqlite3"), database)
	sqlite.Env, sqlite.Stdin = libraries(tree), schema
	if out, err := sqlite.CombinedOutput(); err != nil {
		t.Fatalf("make glewlwyd's database: %v: %s", err, out)
	}

	_, port, err := net.SplitHostPort(host)
	if err != nil {
		t.Fatal(err)
	}
	var conf bytes.Buffer
	err = template.Must(template.New("glewlwyd.conf").Parse(glewlwydConf)).Execute(&conf, map[string]string{
		"Port": port, "Origin": s.Origin, "Database": database,
		"Modules": filepath.Join(tree, "usr/lib/glewlwyd"), "None": t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	confFile := filepath.Join(dir, "glewlwyd.conf")
	if err := os.WriteFile(confFile, conf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}

	// Glewlwyd does not watch its standard input: the shell does it in its place.
	command := exec.Command("sh", "-c", `"$@" & cat >/dev/null; kill $!; wait $!`,
		"sh", filepath.Join(tree, "usr/bin/glewlwyd"), "--config-file="+confFile)
	command.Env = libraries(tree)
	s.process = testbed.Start(t, command, nil)
	admin := glewlwydAdmin{t: t, origin: s.Origin}
	admin.signIn()
	admin.addIdentity(s)
	return s
}

// freeAddress is a loopback address nobody listens on: glewlwyd cannot choose one.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// program is the tree's own program, or the machine's where that has it already.
func program(t testing.TB, tree, name string) string {
	t.Helper()
	if path, err := exec.LookPath(filepath.Join(tree, "usr/bin", name)); err == nil {
		return path
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf(`%v: run "make test", or install the Debian package %s`, err, name)
	}
	return path
}

// libraries is the environment in which the tree's programs find its libraries.
func libraries(tree string) []string {
	dirs, _ := filepath.Glob(filepath.Join(tree, "usr/lib/*-linux-gnu"))
	older, _ := filepath.Glob(filepath.Join(tree, "lib/*-linux-gnu"))
	return append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(append(dirs, older...), ":"))
}

// glewlwydAdmin configures glewlwyd as its administration pages do.
type glewlwydAdmin struct {
	t      testing.TB
	origin string
	cookie string
}

// signIn waits for the server and signs in with the password of a new database.
func (a *glewlwydAdmin) signIn() {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		response, err := a.post(ctx, "/api/auth/", map[string]string{"username": "admin", "password": "password"})
		if err == nil && response.StatusCode == http.StatusOK && len(response.Cookies()) == 1 {
			a.cookie = response.Cookies()[0].Name + "=" + response.Cookies()[0].Value
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			a.t.Fatalf("sign in to glewlwyd: %v: %v", ctx.Err(), err)
		}
	}
}

// addIdentity adds the OpenID Connect plug-in, the scopes and the client.
func (a *glewlwydAdmin) addIdentity(s *Server) {
	a.t.Helper()
	private, public := keyPair(a.t)
	a.must("/api/mod/plugin/", map[string]any{
		"module": "oidc", "name": "identity", "display_name": "Identity",
		"parameters": map[string]any{
			"iss": s.Issuer, "subject-type": "public",
			"jwt-type": "ecdsa", "jwt-key-size": "256", "key": private, "cert": public, "jwks-show": true,
			"access-token-duration": 3600, "refresh-token-duration": 1209600, "code-duration": 600,
			"allow-non-oidc": true, "auth-type-client-enabled": true, "auth-type-id-token-enabled": true,
			"auth-type-code-enabled": true, "auth-type-refresh-enabled": true, "refresh-token-rolling": true,
			"auth-type-token-enabled": false, "auth-type-password-enabled": false, "auth-type-device-enabled": false,
		},
	})
	for _, scope := range append(s.Scopes, s.Refused) {
		a.must("/api/scope/", map[string]any{
			"name": scope, "display_name": scope, "password_required": false, "scheme": map[string]any{},
		})
	}
	a.must("/api/client/", map[string]any{
		"client_id": s.ClientID, "name": s.ClientID, "enabled": true, "confidential": true,
		"client_secret": s.Secret, "token_endpoint_auth_method": []string{"client_secret_post"},
		"authorization_type": []string{"client_credentials"}, "redirect_uri": []string{}, "scope": s.Scopes,
	})
}

func (a *glewlwydAdmin) must(path string, body any) {
	a.t.Helper()
	response, err := a.post(a.t.Context(), path, body)
	if err != nil {
		a.t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		a.t.Fatalf("configure glewlwyd: POST %s: %s", path, response.Status)
	}
}

func (a *glewlwydAdmin) post(ctx context.Context, path string, body any) (*http.Response, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.origin+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Cookie", a.cookie)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	return response, response.Body.Close()
}

func keyPair(t testing.TB) (private, public string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	publicDER, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return encode("PRIVATE KEY", privateDER), encode("PUBLIC KEY", publicDER)
}
