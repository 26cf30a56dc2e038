package main

import (
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"keytender/agent/api"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// release returns nil if the secret may leave the file that a pairing file
// names. Who wrote the pairing file chose both the secret and where it goes,
// so a mailed one could send away any file of ours: a person says yes, or the
// file itself shows that it is no stranger's.
func (p *program) release(x pairing) error {
	file, to := resolved(x.source.file), destinationsText(x.Pairing)
	if term.IsTerminal(int(p.in.Fd())) {
		if p.ask("The secret in " + file + " would be sent to " + to + ".") {
			return nil
		}
		return doing("pair "+x.Name, &api.Error{Code: api.InvalidRequest, Description: "the secret stays where it is", Hint: "nothing was read or sent"})
	}
	if ourOwn(x.fileInfo) {
		return nil
	}
	return doing("pair "+x.Name, &api.Error{
		Code:        api.InvalidRequest,
		Description: "the secret in " + file + " would be sent to " + to + ", nobody is here to say yes, and " + x.from + " could be a stranger's",
		Hint:        `name the secret with --secret-file, or, if you wrote the pairing file, have it yours alone: "chmod 600 ` + x.from + `"`,
	})
}

// resolved is the absolute path without symbolic links, by which an unpacked
// archive could give a file another name.
func resolved(path string) string {
	if found, err := filepath.EvalSymlinks(path); err == nil {
		path = found
	}
	if full, err := filepath.Abs(path); err == nil {
		path = full
	}
	return path
}

// destinationsText names the origins to which a pairing may send its secret,
// in ASCII: other alphabets have letters that look like a and o.
func destinationsText(x api.Pairing) string {
	text := origin(either(x.Identity, x.URL))
	if endpoint := origin(x.TokenEndpoint); endpoint != "" && endpoint != text {
		text += " and " + endpoint
	}
	return text
}

func origin(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		address = u.Scheme + "://" + u.Host
	}
	quoted := strconv.QuoteToASCII(address)
	return quoted[1 : len(quoted)-1]
}

// checkPrintable refuses values with characters that nobody can see: no name,
// address or id has any.
func (x *pairing) checkPrintable(c *cobra.Command) error {
	fields := map[string]string{
		"kind": x.Kind, "url": x.URL, "client_id": x.ClientID, "identity": x.Identity, "token_endpoint": x.TokenEndpoint,
		"edition": x.Edition, "store": x.Store, "scopes": strings.Join(x.Scopes, " "),
	}
	for key, value := range x.Settings {
		fields["settings"] += key + value
	}
	for field, value := range fields {
		if visible(value) != value {
			return misused(c, strconv.Quote(field)+" holds a character that cannot be seen")
		}
	}
	if !isName(x.Name) {
		return misused(c, "a profile's name is made of lower-case letters, digits, -, _ and ., and begins with a letter or digit")
	}
	return nil
}

// isName tells whether a profile can be called so, by the agent's own grammar.
func isName(s string) bool {
	alphanumeric := func(r rune) bool { return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' }
	for i, r := range s {
		if !alphanumeric(r) && (i == 0 || !strings.ContainsRune("-_.", r)) {
			return false
		}
	}
	return 0 < len(s) && len(s) <= 64
}
