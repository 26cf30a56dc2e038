package vault

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"

	"keytender/vault/egress"
)

// azureLogin is how the agent gets tokens for a vault.
type azureLogin struct {
	Login
	authority string // https://host of Entra
}

const azureAuthority = "https://login.microsoftonline.com" // of the public cloud

// azureMethods are the keys that each method needs, and those it may have.
var azureMethods = map[string]struct{ needs, may []string }{
	"client_secret":      {[]string{"login.tenant", "login.client_id"}, []string{"login.authority"}},
	"client_certificate": {[]string{"login.tenant", "login.client_id"}, []string{"login.authority", "login.certificate"}},
	"workload_identity":  {[]string{"login.tenant", "login.client_id", "login.token_file"}, []string{"login.authority"}},
	"managed_identity":   {nil, []string{"login.client_id"}},
}

// silence ends the log that azcore begins on standard error by itself where the
// environment says AZURE_SDK_GO_LOGGING=all. It may be called once a process,
// before any of its clients is used.
var silence = sync.OnceFunc(func() { azlog.SetListener(nil) })

// ignoreEnvironment takes back what the vendor's libraries let the environment
// decide and give no option against. A region would become part of the name of
// the authority's host; this value is theirs for none, whatever other variables
// say.
func ignoreEnvironment() error {
	silence()
	return os.Setenv("AZURE_REGIONAL_AUTHORITY_NAME", "DisableMsalForceRegion")
}

var azureTenant = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9.-]{0,252}$`)

func openAzureLogin(c Config) (azureLogin, error) {
	login := azureLogin{Login: c.Login, authority: azureAuthority}
	method, known := azureMethods[c.Login.Method]
	if !known {
		return login, wrong("login.method", "%q: it is client_secret, client_certificate, managed_identity or workload_identity", c.Login.Method)
	}
	allowed := slices.Concat([]string{"ca", "timeout", "refresh", "write", "fields", "login.method"}, method.needs, method.may)
	if err := c.only(allowed...); err != nil {
		return login, err
	}
	if err := c.needs(method.needs...); err != nil {
		return login, err
	}
	if c.Login.Tenant != "" && !azureTenant.MatchString(c.Login.Tenant) {
		return login, wrong("login.tenant", "it is no directory id: write it as Entra shows it, such as 7d5f1c2a-…, or the directory's domain")
	}
	if c.Login.Authority != "" {
		u, err := egress.CheckURL(c.Login.Authority)
		switch {
		case err != nil:
			return login, wrong("login.authority", "%w", err)
		case u.Scheme != "https" || strings.Trim(u.Path, "/") != "":
			return login, wrong("login.authority", "write https:// and the host alone, such as https://login.microsoftonline.us")
		}
		login.authority = egress.Origin(u)
	}
	return login, nil
}
