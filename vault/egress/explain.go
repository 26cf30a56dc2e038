package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
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
	for _, explain := range []func(error, string) (string, string){ours, secure, network} {
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

// secure explains why there was no TLS with the right server.
func secure(err error, _ string) (what, todo string) {
	if e, ok := errors.AsType[*HandshakeError](err); ok {
		return e.Error(), "check that the port speaks https, TLS 1.2 or later"
	}
	if e, ok := errors.AsType[*ClientCertificateError](err); ok {
		return e.Error(), "check the certificate of the login, and that the server trusts who issued it"
	}
	e, ok := errors.AsType[*CertificateError](err)
	if !ok {
		return "", ""
	}
	switch e.Reason {
	case UnknownAuthority:
		todo = "if it is your organization's own, name its PEM file under ca in config.yaml (ca: [/path/to/ca.pem])"
	case OtherName:
		todo = "use the name that the certificate has"
	case Expired:
		todo = "check this machine's clock; if it is right, the server needs a new certificate"
	default:
		todo = "the server needs another certificate"
	}
	return e.Error(), todo
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
