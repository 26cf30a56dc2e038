package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// told is the error of a call, by what came of its last request. What the
// vendor's client says is dropped: it quotes servers.
func (a *azure) told(ctx context.Context, op string, h *heard, err error) error {
	if h.login {
		op = "log in"
	}
	switch {
	case h.own != nil:
		return h.own
	case h.err != nil, h.status == 0 && ctx.Err() != nil:
		asked := a.link
		if h.host != "" {
			asked.at.host = h.host // which did not answer
		}
		if h.err != nil {
			err = h.err
		}
		err = asked.unanswered(ctx, op, err)
		if said, ok := errors.AsType[*Error](err); ok && h.login && a.login.Method == "managed_identity" {
			said.Todo = "managed_identity works on machines in Azure, and on others with Azure Arc; check IDENTITY_ENDPOINT in the agent's environment"
		}
		return err
	case h.login:
		return a.loginRefused(h)
	case h.status == http.StatusUnauthorized:
		return a.passRefused(h)
	}
	return a.refused(op, h)
}

// waiting is for how long to wait, as a sentence goes on.
func (h *heard) waiting() string {
	if h.wait == 0 {
		return "try again in a minute"
	}
	return fmt.Sprintf("try again in %d seconds", int(h.wait.Seconds()))
}

// refused is what the vault's own answer means.
func (a *azure) refused(op string, h *heard) error {
	no := func(kind error, why, todo string) error { return a.refusal(op, kind, why, todo) }
	is := func(codes ...string) bool {
		return slices.ContainsFunc(h.codes, func(c string) bool { return slices.Contains(codes, c) })
	}
	switch s := h.status; {
	case s == http.StatusTooManyRequests:
		return no(ErrUnavailable, "Key Vault has had too many questions (429)", h.waiting())
	case s >= 500:
		return no(ErrUnavailable, fmt.Sprintf("Key Vault answers %d", s), h.waiting()+"; if it stays, look at Azure's status page")
	case s == http.StatusForbidden:
		return a.denied(op, h, is)
	case len(h.codes) == 0:
		return no(ErrUnavailable, fmt.Sprintf("what answers at %s is no key vault (%d)", h.host, s), "check the store's address, and what stands between here and Azure")
	case s == http.StatusNotFound:
		return no(ErrNotFound, "", "")
	case is("ObjectIsDeletedButRecoverable"):
		return no(ErrDenied, "a deleted secret of that name is still in the vault's trash", "recover it there, and store again; or purge it, where the vault allows that")
	case s == http.StatusConflict:
		return no(ErrBusy, "Key Vault is at work on that secret (409)", "try again in a minute")
	}
	return no(ErrDenied, fmt.Sprintf("Key Vault does not take the request (%d)", h.status), "check the entry's name and size")
}

// denied is what a 403 means.
func (a *azure) denied(op string, h *heard, is func(...string) bool) error {
	role, right := "Key Vault Secrets User", "get"
	switch verb, _, _ := strings.Cut(op, " "); verb {
	case "store":
		role, right = "Key Vault Secrets Officer", "get and set"
	case "delete":
		role, right = "Key Vault Secrets Officer", "delete"
	}
	no := func(why, todo string) error { return a.refusal(op, ErrDenied, why, todo) }
	switch {
	case is("SecretDisabled"):
		return a.disabled(op)
	case is("ForbiddenByFirewall", "ForbiddenByConnection"):
		return no("Key Vault's firewall does not let this machine's address in", "allow the address under Networking at the vault, or reach it by its private endpoint")
	case len(h.codes) == 0:
		return no("a firewall, Key Vault's or one on the way, does not let this machine in (a page instead of an answer)", "allow this machine's address under Networking at the vault, and look at proxies between here and Azure")
	case is("ForbiddenByRbac"):
		return no("the agent's identity lacks a role", "assign it "+role+" at the vault or the secret")
	case is("ForbiddenByPolicy", "AccessDenied"):
		return no("the vault's access policy gives the agent's identity no such right", "give it "+right+" for secrets there")
	}
	return no("Key Vault forbids it (403)", "see that the agent's identity has the role "+role+" at the vault, or in its access policy the right "+right+" for secrets")
}

// passRefused is what a 401 means for a token that Entra has just made.
func (a *azure) passRefused(h *heard) error {
	if h.vaults(http.StatusUnauthorized, "AKV10032") {
		return a.refusal("log in", ErrLogin, "the vault belongs to another directory than the login (AKV10032)", "give the id of the vault's own directory as login.tenant")
	}
	return a.refusal("log in", ErrLogin, "Key Vault does not take the token that the login gave (401)", "check that the vault is of that directory and that cloud, and this machine's clock")
}

// entraSays are Microsoft's "Microsoft Entra authentication and authorization
// error codes", those that a person here can do something about.
var entraSays = map[string]struct{ why, todo string }{
	"AADSTS7000215": {"the client secret is wrong", `give the secret's value, which is not its id, with "keytender secret set store/NAME"`},
	"AADSTS7000222": {"the client secret has expired", `make a new one for the application in Entra, and give it with "keytender secret set store/NAME"`},
	"AADSTS700016":  {"the directory has no application of that client id", "check login.client_id and login.tenant"},
	"AADSTS7000112": {"the application is disabled", "have it enabled in Entra"},
	"AADSTS7000229": {"the application has no service principal in the directory", "have one made in Entra, or check login.tenant"},
	"AADSTS90002":   {"there is no such directory", "check login.tenant, and login.authority for another cloud"},
	"AADSTS900023":  {"there is no such directory", "check login.tenant, and login.authority for another cloud"},
	"AADSTS700027":  {"the application does not know the certificate", "upload it to the application in Entra"},
	"AADSTS700024":  {"what the agent shows is not valid now", "check this machine's clock, and that the token in login.token_file is fresh"},
	"AADSTS70021":   {"the application does not trust the token", "check issuer, subject and audience of its federated credential in Entra"},
	"AADSTS700211":  {"the application does not trust the token's issuer", "check the issuer of its federated credential in Entra"},
	"AADSTS700212":  {"the application does not trust the token's audience", "check the audience of its federated credential in Entra"},
	"AADSTS700213":  {"the application does not trust the token's subject", "check the subject of its federated credential in Entra"},
	"AADSTS53003":   {"a conditional access policy of the directory forbids it", "have the policy allow the application from this machine"},
	"AADSTS500011":  {"the directory does not know Key Vault", "check that login.tenant is the vault's own directory"},
}

// loginRefused is what the answer means of whoever gives the tokens.
func (a *azure) loginRefused(h *heard) error {
	no := func(kind error, why, todo string) error { return a.refusal("log in", kind, why, todo) }
	who, machine := "Entra", a.login.Method == "managed_identity"
	if machine {
		who = "the machine's identity endpoint"
	}
	for _, code := range h.codes {
		if said, known := entraSays[code]; known {
			return no(ErrLogin, said.why+" ("+code+")", said.todo)
		}
	}
	switch s := h.status; {
	case s == 0:
		return no(ErrLogin, "the login does not fit its method", "check login at the store in config.yaml, and its credential")
	case s == http.StatusTooManyRequests:
		return no(ErrUnavailable, who+" has had too many logins (429)", h.waiting())
	case s >= 500, machine && (s == http.StatusNotFound || s == http.StatusGone): // so Azure says that it is being updated
		return no(ErrUnavailable, fmt.Sprintf("%s answers %d", who, s), h.waiting()+"; if it stays, look at Azure's status page")
	case machine && s/100 == 4:
		return no(ErrLogin, fmt.Sprintf("the machine has no such identity, or the agent may not use it (%d)", s), "assign it to the machine in Azure, and check login.client_id; with Azure Arc, make the agent's user a member of the group himds")
	case len(h.codes) == 0:
		return no(ErrUnavailable, fmt.Sprintf("what answers at %s is not %s (%d)", h.host, who, s), "check login.authority, and what stands between here and Azure")
	}
	return no(ErrLogin, fmt.Sprintf("%s refuses the login (%d%s)", who, h.status, numbersOf(h.codes)), "look the code up at https://login.microsoftonline.com/error")
}

// numbersOf are Entra's own among the codes, for those who look them up.
func numbersOf(codes []string) string {
	var numbers string
	for _, code := range codes {
		if strings.HasPrefix(code, "AADSTS") {
			numbers += ", " + code
		}
	}
	return numbers
}
