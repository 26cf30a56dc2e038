// Package egress is how the agent talks to the outside. Every connection that
// leaves it goes through a client made here:
//
//	request ─► https, or http to loopback ─► dial (loopback checked again) ─► TLS ≥ 1.2
//	        ◄─ body of at most 1 MiB ◄─ no redirect ◄─ nothing of the server's text in an error
//
// One other address may be asked over plain http, by a client made for that:
// MetadataHost.
//
// A redirect is never followed, whatever the method: what is sent holds secrets
// and tokens, and only the address that a person configured may have them.
package egress

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// MaxBody is how much of an answer's body is read, in bytes.
const MaxBody = 1 << 20

// MetadataHost is where a machine in a cloud is told about itself. The address
// is link-local (RFC 3927): no router forwards what is sent there, so it ends at
// the machine's own host.
const MetadataHost = "169.254.169.254"

// Options for New. The zero value trusts the system's authorities.
type Options struct {
	CAFiles   []string      // PEM files of further authorities
	UserAgent string        // of requests that have none of their own
	Timeout   time.Duration // of a whole exchange, body included; 30 s if zero
	// Certificate is shown to servers that ask for one; nil: none is.
	Certificate *tls.Certificate
	// Metadata lets the client ask MetadataHost over plain http, for there is no
	// other way. Nothing secret may be sent there.
	Metadata bool
}

// New makes a client; its CA files are read here, once. It is for concurrent
// use, like any http.Client. Its errors are *url.Error around the types of this
// package and of net; see Explain. None holds text that the server sent, not even
// a name in its certificate, because a server can send back what it was sent.
//
// https goes through the proxy that the environment names (HTTPS_PROXY,
// NO_PROXY); loopback and plain http never do.
func New(o Options) (*http.Client, error) {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	roots, err := authorities(o.CAFiles)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: min(10*time.Second, o.Timeout)}

	secure := transport(o.Timeout)
	secure.Proxy = proxy
	secure.OnProxyConnectResponse = proxyAnswer
	secure.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	if o.Certificate != nil {
		secure.TLSClientConfig.Certificates = []tls.Certificate{*o.Certificate}
	}
	secure.DialContext = dial(dialer.DialContext).quiet
	secure.DialTLSContext = dial(dialer.DialContext).secured(secure.TLSClientConfig, secure.TLSHandshakeTimeout)

	g := &guard{secure: secure, plain: near(*dialer, o.Timeout, netip.Addr.IsLoopback), userAgent: o.UserAgent}
	if o.Metadata {
		g.metadata = near(*dialer, o.Timeout, isMetadata)
	}
	return &http.Client{Transport: g, Timeout: o.Timeout}, nil
}

// near is a transport without TLS or a proxy, to the addresses that are allowed.
func near(dialer net.Dialer, timeout time.Duration, allowed func(netip.Addr) bool) *http.Transport {
	dialer.Control = only(allowed)
	plain := transport(timeout)
	plain.DialContext = dial(dialer.DialContext).quiet
	return plain
}

// transport keeps no connection for a second request: requests are rare, and
// what a server sends on an idle one net/http prints to the standard logger.
// See also line.
func transport(timeout time.Duration) *http.Transport {
	return &http.Transport{
		DisableKeepAlives:      true,
		TLSHandshakeTimeout:    min(10*time.Second, timeout),
		ResponseHeaderTimeout:  timeout,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// proxy keeps loopback direct: a proxy that sees 127.0.0.1 means its own.
func proxy(r *http.Request) (*url.URL, error) {
	if IsLoopback(r.URL.Hostname()) {
		return nil, nil
	}
	through, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, &ProxyError{} // the error quotes the variable, password included
	}
	return through, nil
}

func proxyAnswer(_ context.Context, proxy *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		return &ProxyError{Proxy: proxy.Host, Status: answer.StatusCode}
	}
	return nil
}
