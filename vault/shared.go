package vault

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"keytender/vault/egress"
)

// sharedSchemes are the kinds of store on the network.
var sharedSchemes = []string{"hashicorp", "azure", "cyberark-ccp", "conjur"}

// queriesOf are the parts of a query that the addresses of a kind may have.
var queriesOf = map[string][]string{"cyberark-ccp": {"safe", "folder"}}

func isShared(scheme string) bool { return slices.Contains(sharedSchemes, scheme) }

func openShared(scheme string, c Config, o Options) (Store, error) {
	open := map[string]func(Config, Options) (asked, error){
		"hashicorp": openHashiCorp, "azure": openAzure, "cyberark-ccp": openCCP, "conjur": openConjur,
	}[scheme]
	store, err := open(c, o)
	if err != nil {
		return nil, err
	}
	return newKept(store, c, o), nil
}

// Enroll turns what an administrator hands over into the credential by which
// the store of c is logged in to, and proves it by logging in. The two are the
// same but where the credential is handed over wrapped: then it is unwrapped,
// which can be done once, so it comes back even when the login fails afterwards;
// with any other error nothing does. Where the login works without one, that is a
// *ConfigError. The store is left as it was.
func Enroll(ctx context.Context, c Config, o Options, handed Secret) (Secret, error) {
	held, needed := handed, false
	o.Bootstrap = func(context.Context, string) (Secret, error) {
		needed = true
		return held, nil
	}
	store, err := Open(c, o)
	if err != nil {
		return Secret{}, err
	}
	if w, wraps := unwrapping(store); wraps && c.Login.Wrapped {
		if held, err = w.unwrap(ctx, handed); err != nil {
			return Secret{}, errors.Join(err, store.Close())
		}
	}
	err = errors.Join(store.Check(ctx), store.Close())
	if err == nil && !needed {
		return Secret{}, wrong("login.method", "this way to log in needs no credential, and works without one")
	}
	if err != nil && !c.Login.Wrapped {
		held = Secret{}
	}
	return held, err
}

// unwrapper is a store whose credential can be handed over wrapped.
type unwrapper interface {
	unwrap(ctx context.Context, wrapping Secret) (Secret, error)
}

func unwrapping(s Store) (unwrapper, bool) {
	k, ok := s.(*kept)
	if !ok {
		return nil, false
	}
	w, ok := k.asked.(unwrapper)
	return w, ok
}

// Origin is where a shared store's credential may be sent: scheme://host[:port].
func (c Config) Origin() (string, error) {
	scheme, _, _ := strings.Cut(c.URL, ":")
	at, err := parseAddress(c.URL, queriesOf[scheme]...)
	if err != nil {
		return "", err
	}
	return at.origin(), nil
}

// asked is a store on the network without what kept adds.
type asked interface {
	Get(ctx context.Context, name string) (Entry, error)
	Put(ctx context.Context, name string, e Entry) error
	Delete(ctx context.Context, name string) error
	Check(ctx context.Context) error
	Close() error
	String() string
}

// link is the way to a store on the network.
type link struct {
	at        address
	timeout   time.Duration
	ca        []string
	userAgent string
	bootstrap func(ctx context.Context, origin string) (Secret, error)
}

func newLink(c Config, o Options) (link, error) {
	scheme, _, _ := strings.Cut(c.URL, ":")
	at, err := parseAddress(c.URL, queriesOf[scheme]...)
	if err != nil {
		return link{}, err
	}
	return link{
		at: at, timeout: cmp.Or(c.Timeout, defaultTimeout),
		ca: c.CA, userAgent: o.UserAgent, bootstrap: o.Bootstrap,
	}, nil
}

// String is the store's URL as configured.
func (l link) String() string { return l.at.raw }

// client makes the http.Client by which the store is asked; with a certificate
// it shows that.
func (l link) client(certificate *tls.Certificate) (*http.Client, error) {
	return egress.New(egress.Options{CAFiles: l.ca, UserAgent: l.userAgent, Timeout: l.timeout, Certificate: certificate})
}

// credential is the secret by which the store is logged in to.
func (l link) credential(ctx context.Context) (Secret, error) {
	none := &Error{Store: l.String(), Op: "log in", Kind: ErrLogin, Why: "the agent has no credential for it", Todo: `give it with "keytender secret set store/NAME"`}
	if l.bootstrap == nil {
		return Secret{}, none
	}
	secret, err := l.bootstrap(ctx, l.at.origin())
	if errors.Is(err, ErrNotFound) {
		return Secret{}, none
	}
	return secret, err
}

// unanswered is the error for a question that got no answer of the store's own:
// a connection that failed, a certificate that is not trusted, a time that ran
// out. Errors of the store itself pass.
func (l link) unanswered(ctx context.Context, op string, err error) error {
	if said, ok := errors.AsType[*Error](err); ok {
		return said
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %s: %w", l, op, context.Canceled)
	}
	why, todo := egress.Explain(err)
	// A context is told that its time is over by a goroutine, which can be late.
	if end, limited := ctx.Deadline(); limited && !time.Now().Before(end) {
		why, todo = l.at.host+" did not answer within "+l.timeout.String(), "try again; if it stays, look at the vault and the network between"
	}
	return &Error{Store: l.String(), Op: op, Kind: ErrUnavailable, Why: why, Todo: todo}
}

// refusal is an error of the store's own, in our words.
func (l link) refusal(op string, kind error, why, todo string) error {
	return &Error{Store: l.String(), Op: op, Kind: kind, Why: why, Todo: todo}
}

// readOnly is the refusal of a store that the configuration does not let write.
func (l link) readOnly(op string) error {
	return l.refusal(op, ErrReadOnly, "", "if the agent may write there, say write: true at the store in config.yaml and reload")
}
