package egress

import "fmt"

// PlaintextError says that a request would have left the machine without TLS.
// Nothing was sent.
type PlaintextError struct{ Host string }

func (e *PlaintextError) Error() string {
	return fmt.Sprintf("refused to send to %s without TLS", e.Host)
}

// RedirectError says that the server wanted the request sent elsewhere. It was
// not. Where to is left out on purpose: it is the server's text.
type RedirectError struct {
	From   string
	Status int
	To     Target
}

// Target is as much of a redirect's target as is told.
type Target string

// The targets. The empty one means: the server named none.
const (
	SameServer  Target = "another address on the same server"
	OtherServer Target = "another server"
)

func (e *RedirectError) Error() string {
	if e.To == "" {
		return fmt.Sprintf("%s answered with a redirect (%d), which is not followed", e.From, e.Status)
	}
	return fmt.Sprintf("%s answered with a redirect (%d) to %s, which is not followed", e.From, e.Status, e.To)
}

// CertificateError says that the server did not prove to be who it should be.
// What its certificate says is left out on purpose.
type CertificateError struct {
	Host   string
	Reason Reason
}

// Reason is what is wrong with a certificate; it completes a sentence.
type Reason string

// The reasons.
const (
	UnknownAuthority Reason = "is from an authority that this machine does not know"
	OtherName        Reason = "is for another name"
	Expired          Reason = "has expired or is not valid yet"
	WrongUse         Reason = "is not valid for this use"
	Unverified       Reason = "could not be verified"
)

func (e *CertificateError) Error() string {
	return fmt.Sprintf("the certificate of %s %s", e.Host, e.Reason)
}

// HandshakeError says that no TLS connection came about, for another reason than
// the certificate.
type HandshakeError struct{ Host string }

func (e *HandshakeError) Error() string {
	return fmt.Sprintf("no secure connection with %s could be made", e.Host)
}

// ClientCertificateError says that the server did not take the certificate that
// it was shown, or that it wants one and was shown none.
type ClientCertificateError struct{ Host string }

func (e *ClientCertificateError) Error() string {
	return fmt.Sprintf("%s does not accept this client's certificate, or wants one", e.Host)
}

// TooLargeError says that an answer had more than MaxBody bytes; the rest was
// not read.
type TooLargeError struct{ Host string }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the answer of %s is larger than 1 MiB", e.Host)
}

// GarbledError says that what came back is not HTTP. What it was is left out on
// purpose.
type GarbledError struct{ Host string }

func (e *GarbledError) Error() string { return fmt.Sprintf("the answer of %s is not HTTP", e.Host) }

// ProxyError says that the proxy of the environment did not let the connection
// through, or is none.
type ProxyError struct {
	Proxy  string // host and port; "" if the environment's value is not an address
	Status int
}

func (e *ProxyError) Error() string {
	if e.Proxy == "" {
		return "the proxy that the environment names is not an address"
	}
	return fmt.Sprintf("the proxy %s refused the connection (%d)", e.Proxy, e.Status)
}
