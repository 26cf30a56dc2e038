package vault

import (
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxProof bounds the files that a login reads.
const maxProof = 64 << 10

// tokenFile is the token that another program keeps fresh in a file.
func (l link) tokenFile(file string) (Secret, error) {
	text, err := l.proofFile(file)
	if err != nil {
		return Secret{}, err
	}
	token := NewSecret(strings.TrimSpace(string(text)))
	if token.IsZero() || !printable(token) {
		return Secret{}, l.refusal("log in", ErrLogin, file+" holds no token", "see that the program that should write it runs")
	}
	return token, nil
}

// proofFile reads a file that the configuration names.
func (l link) proofFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, &Error{Store: l.String(), Op: "log in", Kind: ErrLogin, Err: err, Todo: "check the file that the store's login names"}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxProof+1))
	if err == nil && len(text) > maxProof {
		return nil, l.refusal("log in", ErrLogin, fmt.Sprintf("%s has more than %d KiB", file, maxProof>>10), "check the file that the store's login names")
	}
	if err != nil {
		return nil, &Error{Store: l.String(), Op: "log in", Kind: ErrLogin, Err: err, Todo: "check the file that the store's login names"}
	}
	return text, nil
}

// pair is the certificate whose key is in proof; its chain is in the file that
// the configuration names, or with the key.
func (h *hashicorp) pair(proof Secret) (*tls.Certificate, error) {
	refused := func(why string) (*tls.Certificate, error) {
		return nil, h.refusal("log in", ErrLogin, why, "renew certificate and key together: the key in PEM form "+giveAnew+", the chain behind it or as login.certificate")
	}
	chain := proof.Reveal()
	if h.login.Certificate != "" {
		text, err := h.proofFile(h.login.Certificate)
		if err != nil {
			return nil, err
		}
		chain = string(text)
	}
	pair, err := keyPair(proof.Reveal(), chain)
	switch {
	case err != nil:
		return refused(err.Error())
	case h.now().After(pair.Leaf.NotAfter):
		return refused("the certificate ended on " + pair.Leaf.NotAfter.UTC().Format("2 January 2006"))
	}
	return pair, nil
}
