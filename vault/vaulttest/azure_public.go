package vaulttest

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"

	"keytender/installer/testbed"
)

// Public is an HTTP proxy through which a fake vault and its Entra answer under
// the names that they have in Azure's public cloud, with certificates for these
// names of the authority that the vault's has.
type Public struct {
	Proxy string // http://127.0.0.1:PORT

	mu    sync.Mutex
	hosts []string // that were asked for
}

// The names of the public cloud.
const (
	PublicVault = "contoso.vault.azure.net"
	PublicEntra = "login.microsoftonline.com"
)

// Public starts the proxy. It ends with the test.
func (k *KeyVault) Public(t testbed.Test) *Public {
	t.Helper()
	p := &Public{}
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == PublicEntra {
			k.Entra.serve(w, r)
			return
		}
		k.arrive(r, secretOf(r))
		k.serve(w, r)
	}))
	key, c := ellipticKey(t), template("fake of the public cloud")
	c.DNSNames, c.ExtKeyUsage = []string{PublicVault, PublicEntra}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	front.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{k.issuer.issue(t, c, key.Public())}, PrivateKey: key}}}
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.StartTLS()
	t.Cleanup(front.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.tunnel(w, r, front.Listener.Addr().String()) }))
	t.Cleanup(proxy.Close)
	p.Proxy = proxy.URL
	return p
}

// Asked are the hosts that were asked for, "HOST:PORT", in their order.
func (p *Public) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.hosts...)
}

// tunnel answers CONNECT (RFC 9110 section 9.3.6).
func (p *Public) tunnel(w http.ResponseWriter, r *http.Request, to string) {
	p.mu.Lock()
	p.hosts = append(p.hosts, r.Host)
	p.mu.Unlock()
	if r.Method != "CONNECT" || r.Host != PublicVault+":443" && r.Host != PublicEntra+":443" {
		http.Error(w, ServersText, http.StatusBadGateway)
		return
	}
	there, err := net.Dial("tcp", to)
	if err != nil {
		http.Error(w, ServersText, http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	var both sync.WaitGroup
	for from, into := range map[net.Conn]net.Conn{here: there, there: here} {
		both.Go(func() {
			_, _ = io.Copy(into, from)
			_ = into.Close()
		})
	}
	both.Wait()
}
