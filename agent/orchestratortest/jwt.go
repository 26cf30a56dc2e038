package orchestratortest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
)

// signer signs and verifies access tokens with ES256 (RFC 7515, RFC 7518 §3.4):
// ecdsa from the standard library over "header.payload", the signature being r
// and s of 32 bytes each.
type signer struct {
	key *ecdsa.PrivateKey
	kid string
}

// claims are those of an Identity Server's access token.
type claims struct {
	Issuer    string   `json:"iss"`
	Audience  []string `json:"aud"`
	Subject   string   `json:"sub"`
	ClientID  string   `json:"client_id"`
	Partition string   `json:"prt_id"`
	Scope     []string `json:"scope"`
	NotBefore int64    `json:"nbf"`
	IssuedAt  int64    `json:"iat"`
	Expires   int64    `json:"exp"`
	ID        string   `json:"jti"`
}

func newSigner() *signer {
	key := newKey()
	sum := sha256.Sum256(point(key))
	return &signer{key: key, kid: hex.EncodeToString(sum[:8])}
}

// point is the public key as SEC 1 writes it: 4, then X and Y of 32 bytes each.
func point(key *ecdsa.PrivateKey) []byte {
	b, err := key.PublicKey.Bytes()
	if err != nil {
		panic(fmt.Sprintf("orchestratortest: encode the key: %v", err))
	}
	return b
}

func (s *signer) sign(c claims) string {
	head, _ := json.Marshal(map[string]string{"alg": "ES256", "kid": s.kid, "typ": "at+jwt"})
	body, _ := json.Marshal(c) // strings and numbers: cannot fail
	signed := encode(head) + "." + encode(body)
	sum := sha256.Sum256([]byte(signed))
	r, v, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		panic(fmt.Sprintf("orchestratortest: sign: %v", err))
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	v.FillBytes(signature[32:])
	return signed + "." + encode(signature[:])
}

// verify returns the claims of a token that this server signed. It does not
// look at the clock.
func (s *signer) verify(token string) (claims, bool) {
	var c claims
	dot := strings.LastIndexByte(token, '.')
	if dot < 0 {
		return c, false
	}
	signature, err := decode(token[dot+1:])
	if err != nil || len(signature) != 64 {
		return c, false
	}
	sum := sha256.Sum256([]byte(token[:dot]))
	r, v := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(&s.key.PublicKey, sum[:], r, v) {
		return c, false
	}
	_, payload, _ := strings.Cut(token[:dot], ".")
	body, err := decode(payload)
	if err != nil {
		return c, false
	}
	return c, json.Unmarshal(body, &c) == nil
}

// jwks is the public key as RFC 7517 writes it.
func (s *signer) jwks() map[string]any {
	p := point(s.key)
	return map[string]any{"keys": []map[string]string{{
		"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": s.kid,
		"x": encode(p[1:33]), "y": encode(p[33:]),
	}}}
}

func encode(b []byte) string          { return base64.RawURLEncoding.EncodeToString(b) }
func decode(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
