package vaulttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"keytender/installer/testbed"
)

// issuer issues the certificates of a server and of its clients. It ends with
// its test.
type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pool        *x509.CertPool
	text        []byte // its own certificate, PEM
	file        string // with text
}

func newIssuer(t testbed.Test) *issuer {
	t.Helper()
	a := &issuer{
		certificate: template("authority of a test"), key: ellipticKey(t),
		pool: x509.NewCertPool(), file: filepath.Join(t.TempDir(), "ca.pem"),
	}
	a.certificate.IsCA, a.certificate.BasicConstraintsValid, a.certificate.KeyUsage = true, true, x509.KeyUsageCertSign
	der := a.issue(t, a.certificate, a.key.Public())
	a.text = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	a.pool.AppendCertsFromPEM(a.text)
	if err := os.WriteFile(a.file, a.text, 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *issuer) issue(t testbed.Test, c *x509.Certificate, public crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, a.certificate, public, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (a *issuer) server(t testbed.Test) tls.Certificate {
	t.Helper()
	key, c := ellipticKey(t), template("fake server")
	c.IPAddresses, c.ExtKeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return tls.Certificate{Certificate: [][]byte{a.issue(t, c, key.Public())}, PrivateKey: key}
}

// Client is a client certificate with its key, both in PEM form.
type Client struct {
	Chain, Key string
	Serial     string
}

// Of is what a client certificate can be like; the zero value is an ordinary one.
type Of struct {
	RSA   int       // bits of an RSA key; 0: an elliptic one
	Until time.Time // when it ends; zero: in an hour
}

func (a *issuer) client(t testbed.Test, o Of) Client {
	t.Helper()
	key := crypto.Signer(ellipticKey(t))
	if o.RSA != 0 {
		long, err := rsa.GenerateKey(rand.Reader, o.RSA)
		if err != nil {
			t.Fatal(err)
		}
		key = long
	}
	c := template("fake client")
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if !o.Until.IsZero() {
		c.NotBefore, c.NotAfter = o.Until.Add(-time.Hour), o.Until
	}
	chain, secret := a.pair(t, c, key)
	return Client{Chain: string(chain), Key: string(secret), Serial: c.SerialNumber.String()}
}

// both makes a certificate for that name, good for a client and for a server on
// this machine, and its key, both in PEM form.
func (a *issuer) both(t testbed.Test, name string) (certificate, key []byte) {
	t.Helper()
	c := template(name)
	c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	return a.pair(t, c, ellipticKey(t))
}

// pair issues c for the key, and gives both in PEM form.
func (a *issuer) pair(t testbed.Test, c *x509.Certificate, key crypto.Signer) (certificate, secret []byte) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.issue(t, c, key.Public())}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func ellipticKey(t testbed.Test) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func template(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
}
