package vault

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
)

// keyPair makes a client certificate of two PEM texts, which may be one and the
// same: the first private key in one, and the certificates in the other, in
// whatever order. Leaf is set. Its errors say what is wrong and show nothing of
// the texts.
func keyPair(key, chain string) (*tls.Certificate, error) {
	signer, err := privateKey(key)
	if err != nil {
		return nil, err
	}
	public, comparable := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	pair := &tls.Certificate{PrivateKey: signer}
	var others [][]byte
	for _, c := range certificates(chain) {
		if comparable && pair.Leaf == nil && public.Equal(c.PublicKey) {
			pair.Leaf = c
			continue
		}
		others = append(others, c.Raw)
	}
	switch {
	case pair.Leaf != nil:
		pair.Certificate = append([][]byte{pair.Leaf.Raw}, others...)
		return pair, nil
	case others == nil:
		return nil, errors.New("there is no certificate in PEM form with the key")
	}
	return nil, errors.New("the certificate does not fit its key")
}

// privateKey is the first private key in a PEM text.
func privateKey(text string) (crypto.Signer, error) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("the credential has no private key in PEM form")
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return nil, errors.New("the private key is locked with a passphrase, which the agent does not know")
		}
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if signer, ok := key.(crypto.Signer); ok {
				return signer, nil
			}
		}
		if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return key, nil
		}
		if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return key, nil
		}
		return nil, errors.New("the private key cannot be read")
	}
}

// certificates are those in a PEM text that can be read.
func certificates(text string) (chain []*x509.Certificate) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return chain
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			chain = append(chain, c)
		}
	}
}
