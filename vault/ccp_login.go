package vault

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"regexp"
)

// connect makes the client for one question. By the method host nothing is
// shown: CCP knows the machine's address.
func (c *ccp) connect(ctx context.Context) (*http.Client, error) {
	var certificate *tls.Certificate
	if c.login.Method == "certificate" {
		var err error
		if certificate, err = c.certificate(ctx); err != nil {
			return nil, err
		}
	}
	client, err := c.client(certificate)
	if err != nil { // of a file in our configuration, in the system's words
		return nil, c.refusal("log in", ErrUnavailable, err.Error(), "check ca at the store in config.yaml")
	}
	return client, nil
}

// certificate puts the credential, a private key in PEM form, together with its
// chain, which stands in a file or behind the key.
func (c *ccp) certificate(ctx context.Context) (*tls.Certificate, error) {
	held, err := c.credential(ctx)
	if err != nil {
		return nil, err
	}
	no := func(why, todo string) (*tls.Certificate, error) { return nil, c.refusal("log in", ErrLogin, why, todo) }
	chain := held.Reveal()
	if file := c.login.Certificate; file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return no("the certificate cannot be read: "+err.Error(), "check login.certificate in config.yaml")
		}
		chain = string(text)
	}
	pair, err := keyPair(held.Reveal(), chain)
	if err != nil {
		return no(err.Error(), `give the key in PEM form with "keytender secret set store/NAME", and its certificate behind it or as login.certificate`)
	}
	if long, ok := pair.Leaf.PublicKey.(*rsa.PublicKey); ok && long.N.BitLen() < 2048 {
		return no(fmt.Sprintf("the certificate's RSA key has %d bits, and CCP takes 2048 at least", long.N.BitLen()), "have a certificate with a longer key issued")
	}
	if c.now().After(pair.Leaf.NotAfter) {
		return no("the certificate ended on "+pair.Leaf.NotAfter.UTC().Format("2 January 2006"), "have a new one issued, and give it in the place of the old one")
	}
	return pair, nil
}

// toLogIn is what people can do who may not log in.
func (c *ccp) toLogIn() string {
	if c.login.Method == "host" {
		return "see that the application " + c.appID + " in CyberArk allows this machine's address; if CCP wants a certificate, say method: certificate"
	}
	return "see that the application " + c.appID + " in CyberArk allows this certificate (serial number or subject) and this machine, and that CCP's web server trusts who issued it"
}

var ccpCode = regexp.MustCompile(`^[A-Z]{5,6}[0-9]{3}E$`)

// refused is what an answer without an account means.
func (c *ccp) refused(op string, a ccpAnswer) error {
	code := ""
	if ccpCode.MatchString(a.ErrorCode) {
		code = " (" + a.ErrorCode + ")"
	}
	switch a.ErrorCode {
	case "APPAP004E":
		where := "the safe " + c.safe
		if c.folder != "" {
			where += ", folder " + c.folder
		}
		return c.refusal(op, ErrNotFound, "there is no such object in "+where+", or the application "+c.appID+" may not see it"+code,
			"check the name; if it is right, make the application and the Credential Provider members of the safe")
	case "APPAP227E", "APPAP228E", "APPAP229E":
		return c.refusal(op, ErrBroken, "more than one object has that name"+code, "give each a name of its own in CyberArk, or name its folder in the store's address: &folder=FOLDER")
	case "APPAP306E":
		return c.refusal("log in", ErrLogin, "CCP does not take the agent for the application "+c.appID+code, c.toLogIn())
	case "APPAP008E":
		return c.refusal("log in", ErrLogin, "the vault has no application "+c.appID+", or does not let it in"+code, "check the application's id in the store's address, and the application in CyberArk")
	case "APPAP007E":
		return c.refusal(op, ErrUnavailable, "CCP answers, but does not reach its vault"+code, "have CyberArk's operators look at the vault and the Credential Provider")
	case "AIMWS030E", "AIMWS031E", "APPAP081E", "CASVL010E":
		return c.refusal(op, ErrDenied, "CCP does not understand the question"+code, "check application, safe and folder in the store's address, and the entry's name, for characters that CyberArk does not allow")
	}
	if code == "" && (a.status == http.StatusUnauthorized || a.status == http.StatusForbidden) {
		return c.refusal("log in", ErrLogin, fmt.Sprintf("the web server refuses the agent (%d) before CCP is asked", a.status), c.toLogIn())
	}
	if code == "" && a.status == http.StatusNotFound {
		return c.refusal(op, ErrUnavailable, c.at.host+" has no web service "+c.service+" (404)", "check host and web service of the store's address")
	}
	return c.refusal(op, ErrUnavailable, fmt.Sprintf("CCP answers %d%s", a.status, code), "try again; if it stays, have CyberArk's operators look at CCP's log")
}
