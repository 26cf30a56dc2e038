package vault

import (
	"bytes"
	"context"
	"crypto/rsa"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"keytender/vault/egress"
)

// azurePass gets a token each time that it is asked: the vault's client keeps
// it, asks for the next before it ends, and at once where the vault does not
// take it any more. The agent's credential is asked for at each login, and not
// kept.
type azurePass struct {
	link
	login azureLogin
	now   func() time.Time
	wire  *wire
}

// pass is how tokens are got: through way, or, for a machine's own identity,
// through a client that may ask the machine's metadata service besides.
func (a *azure) pass(way *http.Client) (*azurePass, error) {
	w := &wire{link: a.link, client: way, origin: a.login.authority, login: true}
	if a.login.Method == "managed_identity" {
		own, err := egress.New(egress.Options{CAFiles: a.ca, UserAgent: a.userAgent, Timeout: a.timeout, Metadata: true})
		if err != nil {
			return nil, err
		}
		w.client, w.origin = own, "" // the environment says where, as Azure documents
	}
	return &azurePass{link: a.link, login: a.login, now: a.now, wire: w}, nil
}

// GetToken implements azcore.TokenCredential.
func (p *azurePass) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	h := hearing(ctx)
	*h = heard{login: true}
	made, err := p.vendors(ctx)
	if err != nil {
		h.own = err
		return azcore.AccessToken{}, err
	}
	o.TenantID = "" // the configured one, whatever the vault says
	if p.login.Method == "managed_identity" {
		o.Claims = "{}" // else the library answers from a memory that the whole process shares
	}
	return made.GetToken(ctx, o)
}

// vendors makes the vendor's credential for one login. Its errors are ours.
func (p *azurePass) vendors(ctx context.Context) (azcore.TokenCredential, error) {
	switch p.login.Method {
	case "client_secret":
		return p.bySecret(ctx)
	case "client_certificate":
		return p.byCertificate(ctx)
	case "workload_identity":
		return p.byToken()
	}
	return p.byMachine()
}

// Each of the vendor's credentials would ask a host of the public cloud which
// authorities there are. Ours is a constant, or stands in config.yaml.
const noDiscovery = true

func (p *azurePass) options() azcore.ClientOptions {
	options := azureOptions(p.wire)
	options.Cloud.ActiveDirectoryAuthorityHost = p.login.authority
	return options
}

func (p *azurePass) bySecret(ctx context.Context) (azcore.TokenCredential, error) {
	secret, err := p.credential(ctx)
	if err != nil {
		return nil, err
	}
	made, err := azidentity.NewClientSecretCredential(p.login.Tenant, p.login.ClientID, secret.Reveal(),
		&azidentity.ClientSecretCredentialOptions{ClientOptions: p.options(), DisableInstanceDiscovery: noDiscovery})
	return made, p.unfit(err)
}

func (p *azurePass) byCertificate(ctx context.Context) (azcore.TokenCredential, error) {
	held, err := p.credential(ctx)
	if err != nil {
		return nil, err
	}
	chain := held.Reveal()
	if file := p.login.Certificate; file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, p.no("the certificate cannot be read: "+err.Error(), "check login.certificate at the store in config.yaml")
		}
		chain = string(text)
	}
	pair, err := keyPair(held.Reveal(), chain)
	if err != nil {
		return nil, p.no(err.Error(), `give the key in PEM form with "keytender secret set store/NAME", and its certificate behind it or as login.certificate`)
	}
	if _, ok := pair.PrivateKey.(*rsa.PrivateKey); !ok {
		return nil, p.no("the private key is not RSA, and Entra takes no other", "have a certificate with an RSA key issued")
	}
	if p.now().After(pair.Leaf.NotAfter) {
		return nil, p.no("the certificate ended on "+pair.Leaf.NotAfter.UTC().Format("2 January 2006"), "have a new one issued, register it with the application in Entra, and give it in the place of the old one")
	}
	all := certificates(chain)
	made, err := azidentity.NewClientCertificateCredential(p.login.Tenant, p.login.ClientID, all, pair.PrivateKey,
		&azidentity.ClientCertificateCredentialOptions{ClientOptions: p.options(), DisableInstanceDiscovery: noDiscovery, SendCertificateChain: true})
	return made, p.unfit(err)
}

// mostOfAToken is far above any token in a file, in bytes.
const mostOfAToken = 64 << 10

// byToken shows Entra another issuer's token. The file is read at each login,
// for its owner replaces it.
func (p *azurePass) byToken() (azcore.TokenCredential, error) {
	const check = "check login.token_file at the store in config.yaml, and what writes it"
	f, err := os.Open(p.login.TokenFile)
	if err != nil {
		return nil, p.no("the token cannot be read: "+err.Error(), check)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostOfAToken+1))
	switch text = bytes.TrimSpace(text); {
	case err != nil:
		return nil, p.no("the token cannot be read: "+err.Error(), check)
	case len(text) == 0 || len(text) > mostOfAToken:
		return nil, p.no(p.login.TokenFile+" holds no token", check)
	}
	token := NewSecret(string(text))
	said := func(context.Context) (string, error) { return token.Reveal(), nil }
	made, err := azidentity.NewClientAssertionCredential(p.login.Tenant, p.login.ClientID, said,
		&azidentity.ClientAssertionCredentialOptions{ClientOptions: p.options(), DisableInstanceDiscovery: noDiscovery})
	return made, p.unfit(err)
}

// byMachine uses the identity that Azure gave the machine or the program. Where
// it is asked for is in the variables that Azure documents for that, such as
// IDENTITY_ENDPOINT; without any, in a virtual machine's metadata service.
func (p *azurePass) byMachine() (azcore.TokenCredential, error) {
	options := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: p.options()}
	if p.login.ClientID != "" {
		options.ID = azidentity.ClientID(p.login.ClientID)
	}
	made, err := azidentity.NewManagedIdentityCredential(options)
	if err != nil {
		return nil, p.no("the managed identity of this kind of machine cannot be used", "use another login; with client_id, try it without")
	}
	return made, nil
}

func (p *azurePass) no(why, todo string) error { return p.refusal("log in", ErrLogin, why, todo) }

// unfit is for a login that the vendor's library would not take. Its words may
// repeat what it was given.
func (p *azurePass) unfit(err error) error {
	if err == nil {
		return nil
	}
	return p.no("the login does not fit its method", "check login at the store in config.yaml, and its credential")
}
