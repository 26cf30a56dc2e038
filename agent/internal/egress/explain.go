package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// Explain says of an error of a client of New what happened and what a person
// can do about it, for pairing and doctor. An error it does not know gets a
// general sentence; nil gets two empty strings.
func Explain(err error) (what, todo string) {
	if err == nil {
		return "", ""
	}
	host := "the server"
	if request, ok := errors.AsType[*url.Error](err); ok {
		if u, err := url.Parse(request.URL); err == nil && u.Host != "" {
			host = u.Host
		}
	}
	for _, explain := range []func(error, string) (string, string){ours, certificate, network} {
		if what, todo = explain(err, host); what != "" {
			return what, todo
		}
	}
	return host + " could not be asked", "check the address and the network"
}

// ours explains the errors of this package.
func ours(err error, _ string) (what, todo string) {
	if e, ok := errors.AsType[*PlaintextError](err); ok {
		return e.Error(), "use an address that begins with https://"
	}
	if e, ok := errors.AsType[*RedirectError](err); ok {
		return e.Error(), "use the address of the service itself, as Orchestrator shows it"
	}
	if e, ok := errors.AsType[*TooLargeError](err); ok {
		return e.Error(), "check that the address is that of the service"
	}
	if e, ok := errors.AsType[*GarbledError](err); ok {
		return e.Error(), "check host and port of the address"
	}
	if e, ok := errors.AsType[*ProxyError](err); ok {
		return e.Error(), "check HTTPS_PROXY and NO_PROXY in the agent's environment"
	}
	return "", ""
}

// certificate explains why a server was not believed to be who it says.
func certificate(err error, host string) (what, todo string) {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the certificate of " + host + " is from an authority that this machine does not know",
			"if it is your organization's own, name its PEM file under ca in config.yaml (ca: [/path/to/ca.pem])"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the certificate of " + host + " is for another name", "use the name that the certificate has"
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired {
			return "the certificate of " + host + " has expired or is not valid yet", "check this machine's clock; if it is right, the server needs a new certificate"
		}
		return "the certificate of " + host + " is not valid for this use", "the server needs another certificate"
	}
	if isTLS(err) || untrusted(err) {
		return "no secure connection with " + host + " could be made", "check that the port speaks https, TLS 1.2 or later"
	}
	return "", ""
}

// network explains why nobody, or only half of somebody, answered.
func network(err error, host string) (what, todo string) {
	if errors.Is(err, context.Canceled) {
		return "the request to " + host + " was given up", "try again"
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok && !name.IsTimeout {
		return fmt.Sprintf("the name %s is not known here", name.Name), "check the spelling of the address and this machine's DNS"
	}
	if e, ok := errors.AsType[net.Error](err); errors.Is(err, os.ErrDeadlineExceeded) || ok && e.Timeout() {
		return host + " did not answer in time", "try again; if it stays, check the network and HTTPS_PROXY"
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "proxyconnect" {
		return "the proxy for " + host + " could not be reached", "check HTTPS_PROXY in the agent's environment"
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return "nobody answers at " + host, "check host and port of the address, and that the service runs"
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return host + " ended the connection before its answer was complete", "try again; if it stays, something between here and the server cuts it"
	}
	return "", ""
}

// untrusted tells whether a certificate was the reason.
func untrusted(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

// isTLS tells whether the handshake was the reason. crypto/tls has no type for
// most of its errors, but their texts are its own and begin alike.
func isTLS(err error) bool {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	for ; err != nil; err = errors.Unwrap(err) {
		if strings.HasPrefix(err.Error(), "tls: ") || strings.HasPrefix(err.Error(), "remote error: tls: ") {
			return true
		}
	}
	return false
}
