package egress

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"keytender/agent/orchestratortest"
)

// standardLog is what goes to the standard logger until the test ends.
func standardLog(t *testing.T) *printed {
	t.Helper()
	p := new(printed)
	log.SetOutput(p)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	return p
}

type printed struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// talker is a server that does with each of its connections what serve says.
func talker(t *testing.T, config *tls.Config, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	scheme := "http://"
	if config != nil {
		l, scheme = tls.NewListener(l, config), "https://"
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return scheme + l.Addr().String()
}

const empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

func TestSecondAnswerIsNotPrinted(t *testing.T) {
	std := standardLog(t)
	answered, ended := make(chan bool), make(chan bool)
	to := talker(t, nil, func(c net.Conn) {
		defer close(ended)
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, empty)
		<-answered
		_, _ = io.WriteString(c, "client_secret=canary")
		_, _ = io.Copy(io.Discard, c) // until the client has heard it and hung up
	})
	if _, err := post(t, newClient(t, Options{}), to); err != nil {
		t.Fatal(err)
	}
	close(answered)
	<-ended
	if std.String() != "" {
		t.Errorf("printed: %s", std)
	}
}

// Without lines net/http prints about one of forty such answers.
func TestAnswerBeforeTheRequestIsNotPrinted(t *testing.T) {
	std := standardLog(t)
	a := newAuthority(t)
	speak := func(c net.Conn) {
		if c, ok := c.(*tls.Conn); ok && c.Handshake() != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: canary\r\nContent-Length: 0\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
	}
	c := newClient(t, Options{CAFiles: []string{caFile(t, a.pem)}})
	for _, to := range []string{talker(t, nil, speak), talker(t, a.config(leaf("127.0.0.1")), speak)} {
		for range 300 {
			_, _ = post(t, c, to)
		}
	}
	if std.String() != "" {
		t.Errorf("printed: %s", std)
	}
}

func TestAnswerShowsItsTLS(t *testing.T) {
	s := newServer(t, orchestratortest.Options{TLS: true})
	answer, err := newClient(t, Options{CAFiles: []string{caFile(t, s.CAPEM)}}).Get(s.Identity)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.TLS == nil || len(answer.TLS.PeerCertificates) == 0 || len(answer.TLS.VerifiedChains) == 0 {
		t.Errorf("got %+v", answer.TLS)
	}
}

func TestNothingOfACertificateInAnError(t *testing.T) {
	known, foreign := newAuthority(t), newAuthority(t)
	expired, early, clientOnly := leaf("127.0.0.1"), leaf("127.0.0.1"), leaf("127.0.0.1")
	expired.NotAfter = time.Now().Add(-time.Minute)
	early.NotBefore = time.Now().Add(time.Minute)
	clientOnly.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	c := newClient(t, Options{CAFiles: []string{caFile(t, known.pem)}})
	for name, test := range map[string]struct {
		config *tls.Config
		reason Reason
		todo   string
	}{
		"unknown authority": {foreign.config(leaf("127.0.0.1")), UnknownAuthority, "ca in config.yaml"},
		"another name":      {known.config(leaf("canary.example")), OtherName, "name"},
		"no name":           {known.config(leaf("")), OtherName, "name"},
		"expired":           {known.config(expired), Expired, "clock"},
		"not valid yet":     {known.config(early), Expired, "clock"},
		"another use":       {known.config(clientOnly), WrongUse, "another certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := post(t, c, talker(t, test.config, func(c net.Conn) { _ = c.(*tls.Conn).Handshake() }))
			if e, ok := errors.AsType[*CertificateError](err); !ok || e.Reason != test.reason {
				t.Errorf("got %v", err)
			}
			if _, todo := Explain(err); !strings.Contains(todo, test.todo) {
				t.Errorf("to do: %q", todo)
			}
			silent(t, err)
		})
	}
	old := known.config(leaf("127.0.0.1"))
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	for name, to := range map[string]string{
		"TLS 1.1": talker(t, old, func(c net.Conn) { _ = c.(*tls.Conn).Handshake() }),
		"no TLS":  strings.Replace(rawServer(t, "canary canary"), "http:", "https:", 1),
		"garbled": strings.Replace(rawServer(t, "\x16\x03\x03\x00\x06canary"), "http:", "https:", 1),
	} {
		_, err := post(t, c, to)
		if _, ok := errors.AsType[*HandshakeError](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
		silent(t, err)
	}
}

// TestServerThatWantsACertificateIsToldApart: a handshake that fails because of
// the client's certificate is not taken for one with the wrong port.
func TestServerThatWantsACertificateIsToldApart(t *testing.T) {
	known, foreign := newAuthority(t), newAuthority(t)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(known.pem)
	shown := func(by *authority) *tls.Certificate {
		c := leaf("")
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		return &by.config(c).Certificates[0]
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := known.config(leaf("127.0.0.1"))
		config.ClientCAs, config.ClientAuth, config.MaxVersion = trusted, tls.RequireAndVerifyClientCert, version
		to := talker(t, config, func(c net.Conn) {
			if c.(*tls.Conn).Handshake() == nil {
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, empty)
			}
		})
		for name, certificate := range map[string]*tls.Certificate{"accepted": shown(known), "another authority": shown(foreign), "none": nil} {
			_, err := post(t, newClient(t, Options{CAFiles: []string{caFile(t, known.pem)}, Certificate: certificate}), to)
			_, refused := errors.AsType[*ClientCertificateError](err)
			if name == "none" && version == tls.VersionTLS12 { // whose servers say only that the handshake failed
				_, refused = errors.AsType[*HandshakeError](err)
			}
			if name == "accepted" && err != nil || name != "accepted" && !refused {
				t.Errorf("%s, %s: %v", tls.VersionName(version), name, err)
			}
			silent(t, err)
		}
	}
}

// authority issues certificates whose texts are canaries.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t), cert: leaf("")}
	a.cert.IsCA, a.cert.BasicConstraintsValid, a.cert.KeyUsage, a.cert.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.issue(a.cert, a.key)})
	return a
}

func (a *authority) issue(c *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

func (a *authority) config(c *x509.Certificate) *tls.Config {
	a.t.Helper()
	key := newKey(a.t)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{a.issue(c, key)}, PrivateKey: key}}}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// leaf is the template of a server's certificate; the name may be an address.
func leaf(name string) *x509.Certificate {
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "canary", Organization: []string{"canary\x1b[31m"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		c.IPAddresses = []net.IP{ip}
	} else if name != "" {
		c.DNSNames = []string{name}
	}
	return c
}
