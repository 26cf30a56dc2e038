package egress

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
)

// untrusted tells whether a certificate was the reason.
func untrusted(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

// reason is why a certificate was not believed.
func reason(err error) Reason {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return UnknownAuthority
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return OtherName
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired {
			return Expired
		}
		return WrongUse
	}
	return Unverified
}

// unwelcome tells whether the server ended the handshake because of the client's
// certificate, or the lack of one: RFC 8446 section 6.2. The alerts have no type
// of their own, but their texts are fixed.
func unwelcome(err error) bool {
	alert, ok := errors.AsType[*net.OpError](err)
	if !ok || alert.Op != "remote error" {
		return false
	}
	said, _ := strings.CutPrefix(alert.Err.Error(), "tls: ")
	return slices.Contains([]string{
		"bad certificate", "unsupported certificate", "revoked certificate", "expired certificate",
		"unknown certificate", "unknown certificate authority", "access denied", "certificate required",
	}, said)
}

// isTLS tells whether the handshake was the reason. crypto/tls has no type for
// most of its errors, but their texts begin alike.
func isTLS(err error) bool {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	for ; err != nil; err = errors.Unwrap(err) {
		for _, begin := range [...]string{"tls: ", "remote error: tls: ", "local error: tls: "} {
			if strings.HasPrefix(err.Error(), begin) {
				return true
			}
		}
	}
	return false
}
