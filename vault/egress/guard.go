package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
)

// guard is the RoundTripper of a client: it decides what may leave and cleans
// what comes back.
type guard struct {
	secure, plain *http.Transport
	metadata      *http.Transport // nil: MetadataHost may not be asked
	userAgent     string
}

// redirects are the status codes that ask for another request (RFC 9110 §15.4).
var redirects = []int{301, 302, 303, 307, 308}

func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	way, err := g.way(r)
	if err != nil {
		if r.Body != nil {
			r.Body.Close() // a RoundTripper closes the body whatever happens
		}
		return nil, err
	}
	if g.userAgent != "" && r.Header.Get("User-Agent") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("User-Agent", g.userAgent)
	}
	r, state := overheard(r)
	answer, err := way.RoundTrip(r)
	if err != nil {
		return nil, clean(err, r.URL.Host)
	}
	if answer.TLS == nil {
		answer.TLS = state()
	}
	if slices.Contains(redirects, answer.StatusCode) {
		answer.Body.Close()
		return nil, &RedirectError{From: r.URL.Host, Status: answer.StatusCode, To: target(answer)}
	}
	answer.Body = &body{ReadCloser: http.MaxBytesReader(nil, answer.Body, MaxBody), host: r.URL.Host}
	return answer, nil
}

func (g *guard) CloseIdleConnections() {
	g.secure.CloseIdleConnections()
	g.plain.CloseIdleConnections()
	if g.metadata != nil {
		g.metadata.CloseIdleConnections()
	}
}

// way is the transport that a request may take.
func (g *guard) way(r *http.Request) (*http.Transport, error) {
	switch {
	case r.URL.Scheme == "https":
		return g.secure, nil
	case r.URL.Scheme == "http" && IsLoopback(r.URL.Hostname()):
		return g.plain, nil
	case r.URL.Scheme == "http" && r.URL.Host == MetadataHost && g.metadata != nil:
		return g.metadata, nil
	}
	return nil, &PlaintextError{Host: r.URL.Host}
}

// only makes a net.Dialer's Control, which sees the address that a name was
// resolved to, before anything is sent there.
func only(allowed func(netip.Addr) bool) func(_, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil || !allowed(to.Addr().Unmap()) {
			return &PlaintextError{Host: address}
		}
		return nil
	}
}

func isMetadata(address netip.Addr) bool { return address.String() == MetadataHost }

// target is where a redirect points to, in our words.
func target(answer *http.Response) Target {
	to, err := answer.Location()
	switch {
	case err != nil:
		return ""
	case Origin(to) == Origin(answer.Request.URL):
		return SameServer
	}
	return OtherServer
}

// body ends at MaxBody and keeps the server's text out of its errors.
type body struct {
	io.ReadCloser
	host string
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return n, &TooLargeError{Host: b.host}
	}
	return n, clean(err, b.host)
}

// clean lets errors pass whose text is ours or the system's. crypto/x509 and
// crypto/tls have others that show what is in the server's certificate, and
// net/http has some, without types, that quote what the server sent: they become
// errors of this package.
func clean(err error, host string) error {
	var (
		plaintext *PlaintextError
		proxy     *ProxyError
		network   net.Error
		system    syscall.Errno
	)
	switch {
	case errors.As(err, &plaintext):
		return plaintext
	case errors.As(err, &proxy):
		return proxy
	case untrusted(err):
		return &CertificateError{Host: host, Reason: reason(err)}
	case unwelcome(err):
		return &ClientCertificateError{Host: host}
	case isTLS(err):
		return &HandshakeError{Host: host}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		errors.As(err, &network), errors.As(err, &system):
		return err
	}
	return &GarbledError{Host: host}
}
